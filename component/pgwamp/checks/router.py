"""Whether the router lets the component in, and do what it has to do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from pgwamp.checks.api import OF_NULL
from pgwamp.checks.finding import Finding
from pgwamp.errors import StartError, printable
from pgwamp.session import IDENTIFICATION, OWN_TRANSPORT, Features, Link, Lost, Rights
from pgwamp.settings import Settings

#: Topics of watched tables that are tried.
MOST_TOPICS = 50
#: Sizes are looked for between these, in bytes, when the router does not take the largest.
SMALLEST_MESSAGE = 65_536


async def check_router(settings: Settings, topics: Sequence[str]) -> list[Finding]:
    """Join, and try what a component does, with names of its own.

    :param topics: of watched tables.
    """
    # A slow login, as by SCRAM, is no failure; what fails says so at once.
    link = _link(settings, patience=30.0)
    try:
        await link.start()
        findings = await ask_router(settings, link, topics)
        findings += await _check_size(settings, link)
        findings += await _check_callers(settings)
    except StartError as error:
        return [Finding("router", str(error), stops=True)]
    except (Lost, TimeoutError):
        return [Finding("router", _ENDED)]
    finally:
        await link.stop()
    return findings


async def ask_router(settings: Settings, link: Link, topics: Sequence[str]) -> list[Finding]:
    """Try what a component has to be allowed, in a session that has joined.

    :raises Lost: the session ended meanwhile.
    """
    rights, prefix = Rights(link, settings.expose.prefix), settings.expose.prefix
    findings = []
    refused = await rights.register()
    # Where neither is allowed, one line says that the prefix is not ours.
    tried = topics[:MOST_TOPICS] or ([rights.own] if refused is None else [])
    denied = await rights.publish(tried)
    if refused is not None:
        below = {topic for topic in denied if topic.startswith(f"{prefix}.")}
        findings.append(_not_ours(prefix, link, refused, below))
        denied = {topic: reason for topic, reason in denied.items() if topic not in below}
    findings += _not_published(prefix, denied, watched=bool(topics))
    features = Features(link, rights)
    if refused is None:
        await features.try_calls()
        findings += _disclosure(settings, features)
    await features.try_events()
    findings += [
        Finding(
            "router",
            f"the router does not {'do' if lack.tried else 'announce'} {lack.feature}: "
            f"{lack.lost}; choose a router that does, or do without",
            level="advice",
        )
        for lack in features.lacking()
    ]
    return [finding._replace(problem=printable(finding.problem)) for finding in findings]


def _not_ours(prefix: str, link: Link, refused: str, topics: Collection[str]) -> Finding:
    """Return the finding that the router refuses to register below the prefix.

    :param topics: below the prefix, to which it refuses to publish too.
    """
    verbs, rights = "register", "`register`"
    if topics:
        verbs, rights = "register, and to publish,", "`register` and `publish`"
    return Finding(
        "router",
        f"the router refuses to {verbs} below {prefix}. ({refused}): {OWN_TRANSPORT}, or give the "
        f"component's role{_role(link)} {rights} for the prefix {prefix}. in the router's "
        "configuration, or correct expose.prefix",
        stops=not link.registered or any(map(_surely_comes, topics)),
    )


def _not_published(prefix: str, denied: Mapping[str, str], *, watched: bool) -> Iterator[Finding]:
    """Return a finding for each group of topics to which the router refuses to publish.

    Those below the prefix need one permission, and so do those of one table outside it.

    :param watched: they are topics of watched tables, and no name of our own.
    """
    groups: dict[tuple[str, str, bool], list[str]] = {}
    for topic, reason in denied.items():
        head = prefix if topic.startswith(f"{prefix}.") else topic.rpartition(".")[0]
        groups.setdefault((head, reason, _surely_comes(topic)), []).append(topic)
    for (head, reason, surely), topics in groups.items():
        where = f"to {_list(topics)}" if watched else f"below {prefix}."
        cure = f"give the component's role `publish` for the prefix {prefix}."
        if head != prefix:
            cure = (
                f"watch the table with a topic below {prefix}., or give the component's role "
                f"`publish` for {'these' if len(topics) > 1 else 'this one'}"
            )
        yield Finding(
            "router",
            f"the router refuses to publish {where} ({reason}), and events are lost: {cure}",
            stops=watched and surely,
        )


def _surely_comes(topic: str) -> bool:
    """Whether a topic is no sample: nobody knows whether a value that is refused will ever come."""
    return OF_NULL not in topic.split(".")


def _list(topics: Sequence[str]) -> str:
    """Return the first topic, and how many there are besides."""
    others = len(topics) - 1
    return topics[0] if not others else f"{topics[0]} and {others} more"


def _role(link: Link) -> str:
    """The role that the router gave to the session, if it told."""
    role = link.details.authrole if link.details else None
    return f' "{role}"' if role else ""


def _disclosure(settings: Settings, features: Features) -> list[Finding]:
    """Whether the router tells who calls."""
    prefix, mapped = settings.expose.prefix, bool(settings.access.roles)
    disclosed = features.done.get(IDENTIFICATION)
    if disclosed is None and mapped:
        problem = (
            f"whether the router tells who calls cannot be tried ({features.calls_refused}): give "
            f"the component's role `call` for the prefix {prefix}."
        )
        return [Finding("router", problem, level="advice")]
    if disclosed is not False:
        return []
    lost = (
        "access.roles refuses every call"
        if mapped
        else "all callers together have the share of one (limits.per_session)"
    )
    cure = (
        f"set `disclose: caller: true` for the prefix {prefix}. in each role that calls, and in "
        "the component's"
        if features.announces("dealer", IDENTIFICATION)
        else f"choose a router that does {IDENTIFICATION}"
    )
    problem = f"the router does not tell who calls, so that {lost}: {cure}"
    return [Finding("router", problem, level="wrong" if mapped else "advice")]


async def _check_callers(settings: Settings) -> list[Finding]:
    """Whether a caller that leaves too early takes the component with it."""
    link, caller = _link(settings, patience=30.0), _link(settings, patience=30.0)
    try:
        await link.start()
        await caller.start()
        features = Features(link, Rights(link, settings.expose.prefix))
        if await features.survives_a_caller(caller):
            return []
    finally:
        await caller.stop()
        await link.stop()
    problem = (
        "the router ends the component's session when a caller leaves before its answer, so that "
        "every caller can interrupt all others: choose another router"
    )
    return [Finding("router", problem)]


async def _check_size(settings: Settings, link: Link) -> list[Finding]:
    """Whether the router takes messages as large as the component sends."""
    most = settings.limits.max_bytes
    if (said := link.accepted) is not None and said < most:
        return [_too_small(said, most)]
    if await Rights(link, settings.expose.prefix).accepts(most):
        return []
    size = SMALLEST_MESSAGE
    while size * 2 < most and await _accepts(settings, size * 2):
        size *= 2
    return [_too_small(size, most)]


async def _accepts(settings: Settings, byte_count: int) -> bool:
    link = _link(settings, patience=30.0)
    try:
        await link.start()
        return await Rights(link, settings.expose.prefix).accepts(byte_count)
    finally:
        await link.stop()


def _too_small(accepted: int, most: int) -> Finding:
    return Finding(
        "router",
        f"the router takes messages of about {accepted} bytes only, and limits.max_bytes is "
        f"{most}: larger answers fail, and larger events lose their values; raise max_message_size "
        "in the router's configuration, or lower limits.max_bytes",
    )


def _link(settings: Settings, patience: float) -> Link:
    return Link(settings.router, max_bytes=settings.limits.max_bytes, patience=patience, once=True)


_ENDED = (
    "the router ended the session while its rights were tried: look at its log, or correct "
    "router.realm if it has none of this name"
)
