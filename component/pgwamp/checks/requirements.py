"""Everything that a component needs to work: one list, which ``pgwamp check`` and the start ask.

The start does not go on with a finding of what ``stops`` it, and logs the others. Each finding is
one line that names its cure.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

import asyncpg

from pgwamp.checks import access, addresses, events, local, schema, topics
from pgwamp.checks.addresses import connected
from pgwamp.checks.api import check_api
from pgwamp.checks.finding import Finding
from pgwamp.checks.router import check_router
from pgwamp.database.blockers import Blocker, looking, waited_too_long
from pgwamp.database.connect import CONNECTION_ERRORS, connection_problem
from pgwamp.errors import printable
from pgwamp.settings import Settings

Report = Callable[[str], object]
#: What waits for a lock, and the cure of all that one session does.
_SUBJECT = "the check"
_LOCKED = f"{_SUBJECT} waited too long"
_ENDED = re.compile(r"select pg_terminate_backend\(\d+\)$")
#: The wait for a lock once another one was in vain: mostly the same session has it.
_NO_WAIT = "100ms"


class Requirement(NamedTuple):
    """A question, and what follows if the answer is no.

    :ivar part: of the finding that the question cannot be asked.
    :ivar stops: the component does not start.
    :ivar first: what comes after it cannot be asked.
    """

    part: str
    ask: Callable[..., Awaitable[list[Finding]]]
    stops: bool = False
    first: bool = False


#: Asked of the settings and this machine.
OF_SETTINGS = (
    Requirement("settings", local.check_settings, stops=True),
    Requirement("settings", local.check_files),
)
#: Asked of the connections to all addresses.
OF_ADDRESSES = (Requirement("database", addresses.check_same_database, stops=True),)
#: Asked of each login of calls.
OF_LOGINS = (
    Requirement("access", access.check_membership, stops=True),
    Requirement("access", access.check_before, stops=True),
    Requirement("access", access.check_rights),
)
#: Asked of the database, as the login of events.
OF_DATABASE = (
    Requirement("database", schema.check_server, stops=True, first=True),
    Requirement("schema", events.check_locks),
    Requirement("schema", schema.check_schema, stops=True, first=True),
    Requirement("schema", schema.check_revision, stops=True, first=True),
    Requirement("database", schema.check_exposed_schemas, stops=True),
    Requirement("schema", schema.check_privileged_parts),
    Requirement("events", events.check_publish_rules, stops=True),
    Requirement("events", events.check_captures),
    Requirement("events", events.check_published),
    Requirement("events", events.check_queue),
    Requirement("events", events.check_row_security),
    Requirement("events", topics.check_templates),
)
#: Asked by ``check`` alone: the start does the same by itself, and is the cure of a backlog.
OF_THIS_MACHINE = (Requirement("metrics", local.check_metrics_port, stops=True),)
OF_THE_BACKLOG = (Requirement("events", events.check_backlog),)


async def check_all(settings: Settings, report: Report | None = None) -> list[Finding]:
    """Look at everything; a component would start and work if nothing of it is wrong.

    :param report: told what it waits for.
    """
    findings = await ask_settings(settings)
    published: list[str] = []
    if settings.database.url.get_secret_value():
        found = await _ask_database(settings, backlog=True, report=report)
        findings += _once_per_session(found)
        # It would wait for the same lock again.
        if not any(finding.stops or _is_wait(finding) for finding in found):
            of_api, published = await check_api(settings)
            findings += of_api
    findings += await _answers(OF_THIS_MACHINE, settings)
    findings += await check_router(settings, published)
    return _told(findings)


async def ask_settings(settings: Settings) -> list[Finding]:
    """Ask for what needs no server."""
    return _told(await _answers(OF_SETTINGS, settings))


async def ask_database(settings: Settings, *, stopping: bool | None = None) -> list[Finding]:
    """Ask for what the database has to have.

    :param stopping: only for what stops a start, or only for the rest; None: for both.
    """
    return _told(_once_per_session(await _ask_database(settings, stopping=stopping)))


async def _ask_database(
    settings: Settings,
    *,
    stopping: bool | None = None,
    backlog: bool = False,
    report: Report | None = None,
) -> list[Finding]:
    of_events = (*OF_DATABASE, *(OF_THE_BACKLOG if backlog else ()))
    async with connected(settings.database) as made:
        findings = [f for f in made.findings if stopping in (None, f.stops)]
        try:
            findings += await _answers(OF_ADDRESSES, settings, made, stopping=stopping)
            for role, login in made.logins.items():
                findings += await _answers(OF_LOGINS, settings, login, role, stopping=stopping)
            if made.events is not None:
                dsn = settings.database.events_dsn()
                async with looking(made.events, dsn, report) as found:
                    findings += await _answers(
                        of_events, settings, made.events, stopping=stopping, found=found
                    )
        except CONNECTION_ERRORS as error:
            database = settings.database
            problem, _ = connection_problem(error, database.events_dsn(), database.events_setting)
            findings.append(Finding("database", str(problem), stops=True))
    return findings


async def _answers(
    requirements: Sequence[Requirement],
    *given: Any,
    stopping: bool | None = None,
    found: Sequence[Blocker] = (),
) -> list[Finding]:
    """Ask, one after the other.

    :param found: the session that keeps ours waiting, as of ``looking``.
    """
    findings: list[Finding] = []
    for requirement in requirements:
        asked = stopping in (None, requirement.stops)
        if not (asked or requirement.first):
            continue
        answer = await _in_part(requirement.part, requirement.ask(*given), found)
        wrong = any(finding.level == "wrong" for finding in answer)
        if asked:
            findings += [
                finding._replace(stops=requirement.stops and finding.level == "wrong")
                for finding in answer
            ]
        if requirement.first and wrong:
            break
        if any(map(_is_wait, answer)):
            *_, connection = given
            await connection.execute(f"set lock_timeout = '{_NO_WAIT}'")
    return findings


async def _in_part(
    part: str, asking: Awaitable[list[Finding]], found: Sequence[Blocker]
) -> list[Finding]:
    """Take an error of one part for a finding of that part, and not for the end of all."""
    try:
        return await asking
    except CONNECTION_ERRORS:
        raise
    except asyncpg.LockNotAvailableError:
        problem = str(waited_too_long(_SUBJECT, found[-1] if found else None))
    except asyncpg.PostgresError as error:
        problem = f"it cannot be checked: {error}"
    return [Finding(part, problem)]


def _is_wait(finding: Finding) -> bool:
    """Whether a lock of another session has kept it from being asked."""
    return finding.problem.startswith(_LOCKED)


def _once_per_session(findings: Sequence[Finding]) -> list[Finding]:
    """Return one finding for each session that is to be ended, in the place of the first.

    What a lock keeps from being checked is one finding too where nobody knows who has it.
    """
    told: dict[str, Finding] = {}
    for finding in findings:
        ended = _ENDED.search(finding.problem)
        same = told.get(key := ended[0] if ended else finding.problem)
        if same is not None:
            # An error says more than advice.
            kept = same if same.level == "wrong" or finding.level != "wrong" else finding
            finding = kept._replace(stops=same.stops or finding.stops)
        told[key] = finding
    return list(told.values())


def _told(findings: Iterable[Finding]) -> list[Finding]:
    return [finding._replace(problem=printable(finding.problem)) for finding in findings]
