"""``batch``: several calls in one transaction, all or nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pgwamp.database import ISOLATION_LEVELS, Database
from pgwamp.errors import STALE, CallError, InvalidArgument, PayloadTooLarge, at, below, excerpt
from pgwamp.query.request import bind, suggest
from pgwamp.session import Call, Gathered, Procedure, Result
from pgwamp.settings import LimitSettings
from pgwamp.tasks import raise_if_cancelled
from pgwamp.values.portable import Size, check_arguments

ARGUMENTS = ("steps", "isolation")
MAX_STEPS = 100
#: What runs in the transaction of its call, by the kind in its description.
_KINDS = ("relation", "function", "procedure", "query", "python")
_KEYS = ("procedure", "args", "kwargs")
#: Levels of lists and dicts in the arguments of a step.
_MOST_LEVELS = 100
#: serialization_failure and deadlock_detected, and statements that were prepared before a change of
#: the schema: another attempt may well succeed.
_RETRIED = ("40001", "40P01", STALE)
_ATTEMPTS = 5
#: Seconds before the second attempt at most; each further one doubles it.
_PAUSE = 0.02


@dataclass(frozen=True, slots=True)
class _Step:
    """One call of a batch, with its references not yet replaced."""

    place: str
    procedure: Procedure
    args: Sequence[Any]
    kwargs: Mapping[str, Any]


def batch_procedure(
    prefix: str,
    procedures: Mapping[str, Procedure],
    database: Database,
    limits: LimitSettings,
) -> Procedure:
    """The procedure ``prefix.batch``.

    :param procedures: what its steps may call, by URI; looked up when it is called.
    """
    uri = f"{prefix}.batch"

    async def handler(call: Call) -> list[Any]:
        request = bind(ARGUMENTS, call.args, call.kwargs, required=1)
        steps = _steps(request["steps"], prefix, procedures)
        isolation = _isolation(request.get("isolation"))
        attempt = 1
        while True:
            try:
                async with database.batch(call.caller, isolation):
                    return await _run(steps, call, limits)
            except CallError as error:
                sqlstate = error.details.get("sqlstate")
                if sqlstate not in _RETRIED or attempt == _ATTEMPTS:
                    raise
                raise_if_cancelled()
            # Those that got into each other's way must not meet again.
            await asyncio.sleep(random.uniform(0, _PAUSE * 2**attempt))
            attempt += 1

    return Procedure(uri, handler, description=_description(uri))


async def _run(steps: Sequence[_Step], batch: Call, limits: LimitSettings) -> list[Any]:
    cure = "ask for fewer rows or columns, or make several batches"
    gathered = Gathered(batch, limits, cure)
    resolver = Resolver(gathered.results, limits)
    for index, step in enumerate(steps):
        try:
            args, kwargs = await resolver.arguments(step)
            call = Call(args, kwargs, replace(batch.caller, procedure=step.procedure.uri))
            answer = step.procedure.handler(call)
            if isinstance(answer, AsyncIterator):
                raise InvalidArgument(f"{step.place}.procedure", "answers in parts; call it alone")
            result = _plain(await answer)
            # To make, to measure and to check the largest result takes up to 40 ms each.
            await asyncio.sleep(0)
            await gathered.add(result)
            if not step.procedure.portable:
                await asyncio.sleep(0)
                step.procedure.require_portable(result)
        except CallError as error:
            failed = CallError(f"batch[{index}]: {error.message}", uri=error.uri)
            failed.details = {**error.details, "step": index}
            raise failed from None
    return gathered.results


def _plain(result: Any) -> Any:
    """A step's result; with keyword results, both of them in a dict."""
    if isinstance(result, Result):
        if result.kwargs:
            return {"value": result.value, "kwargs": dict(result.kwargs)}
        return result.value
    return result


def _steps(given: Any, prefix: str, procedures: Mapping[str, Procedure]) -> list[_Step]:
    if not isinstance(given, list | tuple) or not given:
        raise InvalidArgument("steps", 'expected a list of {"procedure": ..., "args": [...]}')
    if len(given) > MAX_STEPS:
        raise InvalidArgument("steps", f"{len(given)} given, at most {MAX_STEPS} allowed")
    return [_step(item, f"steps[{index}]", prefix, procedures) for index, item in enumerate(given)]


def _step(item: Any, place: str, prefix: str, procedures: Mapping[str, Procedure]) -> _Step:
    if not isinstance(item, Mapping):
        raise InvalidArgument(place, f"expected a dict of {', '.join(_KEYS)}")
    for key in item:
        if key not in _KEYS:
            raise InvalidArgument(below(place, key), f"unknown{suggest(key, _KEYS)}")
    name = item.get("procedure")
    if not isinstance(name, str):
        raise InvalidArgument(f"{place}.procedure", "expected a URI, or what follows the prefix")
    procedure = procedures.get(name) or procedures.get(f"{prefix}.{name}")
    if procedure is None:
        raise InvalidArgument(
            f"{place}.procedure", f'there is no "{excerpt(name)}"{_verb(name, prefix, procedures)}'
        )
    kind = procedure.description.get("kind")
    if kind not in _KINDS or not procedure.description.get("transaction", True):
        raise InvalidArgument(
            f"{place}.procedure", f"{name} takes no part in a transaction; call it alone"
        )
    args, kwargs = item.get("args", ()), item.get("kwargs", {})
    if not isinstance(args, list | tuple):
        raise InvalidArgument(f"{place}.args", "expected a list")
    if not isinstance(kwargs, Mapping):
        raise InvalidArgument(f"{place}.kwargs", "expected a dict")
    return _Step(place, procedure, args, kwargs)


def _verb(name: str, prefix: str, procedures: Mapping[str, Procedure]) -> str:
    """Return the end of the error about a name: a verb of the same relation, if one is meant.

    Other names are for ``describe`` to tell: a caller may not see them.
    """
    path, _, verb = name.removeprefix(f"{prefix}.").rpartition(".")
    head = f"{prefix}.{path}."
    verbs = {uri.removeprefix(head) for uri in procedures if path and uri.startswith(head)}
    if verbs:
        return suggest(verb, sorted(verb for verb in verbs if "." not in verb))
    return f"; {prefix}.describe lists what there is"


def _isolation(given: Any) -> str:
    if given is None:
        return "read committed"
    if given not in ISOLATION_LEVELS:
        raise InvalidArgument("isolation", f"one of {', '.join(ISOLATION_LEVELS)}")
    return str(given)


class Resolver:
    """Replaces references to earlier results, whose copies count like any other argument.

    A reference may stand many times in a step, whose result holds all of them, and so on: what
    the arguments come to is bounded, not what is written.
    """

    def __init__(self, results: Sequence[Any], limits: LimitSettings):
        self._results = results
        self._limits = limits
        self._size = Size()

    async def arguments(self, step: _Step) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """The arguments of a step, bounded as those of any call are.

        :raises InvalidArgument: a reference stands for nothing, or for too much.
        :raises PayloadTooLarge: they are larger than any message may be.
        """
        before = self._size.values
        args = self.resolve(step.args, f"{step.place}.args")
        kwargs = self.resolve(step.kwargs, f"{step.place}.kwargs")
        if self._size.values > before:
            # To replace, to check and to use the largest arguments takes up to 40 ms each.
            await asyncio.sleep(0)
            most = self._limits.max_bytes
            if check_arguments(args, kwargs, self._limits.max_values) > most:
                raise PayloadTooLarge(
                    f"with its references the arguments of the step come to more than {most} "
                    "bytes (limits.max_bytes)"
                )
            await asyncio.sleep(0)
        return args, kwargs

    def resolve(self, value: Any, place: str, level: int = 0) -> Any:
        """``value`` with each ``{"$ref": [step, key, ...]}`` in it replaced."""
        if level > _MOST_LEVELS:
            raise InvalidArgument(place, f"nested deeper than {_MOST_LEVELS} levels")
        if isinstance(value, Mapping):
            path = value.get("$ref")
            if len(value) == 1 and isinstance(path, list | tuple):
                found = self._referred(path, place)
                self._count(found, place)
                return found
            return {
                key: self.resolve(item, below(place, key), level + 1) for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.resolve(item, at(place, i), level + 1) for i, item in enumerate(value)]
        return value

    def _referred(self, path: Sequence[Any], place: str) -> Any:
        value: Any = self._results
        for depth, part in enumerate(path):
            if isinstance(value, Mapping):
                found = isinstance(part, str) and part in value
            else:
                found = type(part) is int and isinstance(value, list) and 0 <= part < len(value)
            if not found:
                before = [one if type(one) is int else excerpt(one) for one in path[:depth]]
                where = f"the result at {before}" if depth else "the earlier steps"
                raise InvalidArgument(place, f"$ref: {where} has no {excerpt(part)}")
            value = value[part]
        if not path:
            raise InvalidArgument(place, "$ref: expected [step, key or index, ...]")
        return value

    def _count(self, value: Any, place: str) -> None:
        """Count a part of a result that stands in for a reference."""
        size, limits = self._size, self._limits
        size.add(value, limits.max_values, limits.max_bytes)
        if size.values > limits.max_values:
            most = f"{limits.max_values} values (limits.max_values)"
        elif size.memory > limits.max_bytes:
            most = f"{limits.max_bytes} bytes (limits.max_bytes)"
        else:
            return
        raise InvalidArgument(place, f"$ref: all references together come to more than {most}")


def _description(uri: str) -> dict[str, Any]:
    step = {
        "type": "object",
        "properties": {
            "procedure": {"type": "string"},
            "args": {"type": "array"},
            "kwargs": {"type": "object"},
        },
        "required": ["procedure"],
    }
    return {
        "uri": uri,
        "kind": "batch",
        "description": "several calls in one transaction, all or nothing",
        "arguments": [
            {
                "name": "steps",
                "required": True,
                "schema": {"type": "array", "items": step, "minItems": 1, "maxItems": MAX_STEPS},
            },
            {
                "name": "isolation",
                "required": False,
                "schema": {"enum": list(ISOLATION_LEVELS)},
            },
        ],
        "result": {"type": "array", "description": "the result of each step"},
    }
