"""Python procedures: ``async def`` functions marked with Autobahn's ``@wamp.register``."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import fields, is_dataclass
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_origin, get_type_hints

import asyncpg
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError
from sqlalchemy.ext.asyncio import AsyncSession

from pgwamp.access import Caller
from pgwamp.database import Database
from pgwamp.errors import InvalidArgument, StartError, below, excerpt
from pgwamp.procedures.fitting import require_fitting
from pgwamp.procedures.orm import Sessions
from pgwamp.procedures.validation import Shape, Work
from pgwamp.session import Call, Procedure, Result
from pgwamp.values import fits_numeric

#: Errors of one argument that are listed to tell the first: pydantic lists all or none.
_MOST_ERRORS = 1_000
_GENERIC = re.compile(r"\bConnection\[[^\[\]]*\]")


def python_procedures(
    modules: tuple[str, ...], folder: Path, prefix: str, database: Database
) -> Iterator[Procedure]:
    """The marked functions of ``modules``; ``folder`` is searched for them first.

    A URI without a dot is put below the prefix: ``@wamp.register("close_day")``.

    :raises StartError: a module cannot be imported, or a function cannot be a procedure.
    """
    sessions = Sessions()
    if modules and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    for name in modules:
        try:
            module = importlib.import_module(name)
        except Exception as error:  # whatever the user's module raises at import
            problem = f"expose.procedures: {name}: {type(error).__name__}: {error}"
            if isinstance(error, ModuleNotFoundError):
                problem += (
                    f" (modules are looked for in {folder}, the folder of pgwamp.toml, and where "
                    "Python's are)"
                )
            raise StartError(problem) from None
        for function in vars(module).values():
            for pattern in getattr(function, "_wampuris", ()):
                if pattern.is_endpoint():
                    uri = pattern.uri()
                    uri = uri if "." in uri else f"{prefix}.{uri}"
                    yield _procedure(uri, function, database, sessions)


def _procedure(
    uri: str, function: Callable[..., Any], database: Database, sessions: Sessions
) -> Procedure:
    if not (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)):
        raise StartError(f"{uri}: {function.__qualname__} must be an async def function")
    arguments = _Arguments(uri, function)

    @asynccontextmanager
    async def given(call: Call) -> AsyncIterator[dict[str, Any]]:
        values = arguments.bind(call)
        async with AsyncExitStack() as stack:
            if arguments.transaction:
                connection = await stack.enter_async_context(
                    database.transaction(call.caller, read_only=False)
                )
                stack.enter_context(_errors_over(connection))
                if arguments.connection:
                    values[arguments.connection] = connection
                if arguments.session:
                    values[arguments.session] = await stack.enter_async_context(
                        sessions.on(connection)
                    )
            else:
                await database.admit(call.caller)
            yield values

    async def stream(call: Call) -> AsyncIterator[Any]:
        # Closed, and not just dropped: what it does at its end belongs to the transaction.
        async with given(call) as values, aclosing(function(**values)) as items:
            async for item in items:
                if arguments.transaction:
                    procedure.require_portable(item)
                    if isinstance(item, Result) and call.progress is not None:
                        await require_fitting(call, item)
                yield item

    async def handler(call: Call) -> Any:
        async with given(call) as values:
            answer = await function(**values)
            if arguments.transaction:
                # Before it commits: an error is to have changed nothing.
                procedure.require_portable(answer)
                await require_fitting(call, answer)
            return answer

    procedure = Procedure(
        uri,
        stream if inspect.isasyncgenfunction(function) else handler,
        portable=False,
        description=arguments.describe(),
    )
    return procedure


@contextmanager
def _errors_over(connection: asyncpg.Connection[Any]) -> Iterator[None]:
    """Let errors of a procedure that are like those of a lost connection be its own.

    So are those of files and of other servers, and what asyncpg says of a wrong use.
    """
    try:
        yield
    except TimeoutError:
        raise
    except (OSError, asyncpg.InterfaceError) as error:
        if connection.is_closed():
            raise
        raise RuntimeError("an error that is none of the database's connection") from error


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of ``function``.

    Type checkers want ``asyncpg.Connection[Any]``, which asyncpg cannot evaluate when it runs.
    """
    annotations = {
        name: _GENERIC.sub("Connection", hint) if isinstance(hint, str) else hint
        for name, hint in function.__annotations__.items()
    }
    return get_type_hints(
        SimpleNamespace(__annotations__=annotations),
        globalns=function.__globals__,
        include_extras=True,
    )


class _Arguments:
    """The arguments of a Python procedure: those a caller gives, and those it is given.

    A parameter annotated ``asyncpg.Connection`` receives the connection of the call's
    transaction, one annotated SQLAlchemy's ``AsyncSession`` a session in it, one annotated
    :class:`~pgwamp.access.Caller` who is calling.
    """

    def __init__(self, uri: str, function: Callable[..., Any]):
        self._uri = uri
        self._doc = inspect.getdoc(function)
        self.connection = ""
        self.session = ""
        self._caller = ""
        self._adapters: dict[str, TypeAdapter[Any]] = {}
        self._shapes: dict[str, Shape] = {}
        self._required: set[str] = set()
        try:
            hints = _hints(function)
        except (NameError, TypeError) as error:
            raise StartError(f"{uri}: an annotation cannot be resolved: {error}") from None
        for name, parameter in inspect.signature(function).parameters.items():
            hint = hints.get(name, Any)
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise StartError(f"{uri}: name each argument instead of *{name}")
            if (get_origin(hint) or hint) is asyncpg.Connection:
                self.connection = name
            elif hint is AsyncSession:
                self.session = name
            elif hint is Caller:
                self._caller = name
            else:
                self._add(name, hint, parameter.default is parameter.empty)

    @property
    def transaction(self) -> bool:
        """Whether the function runs in a transaction."""
        return bool(self.connection or self.session)

    def _add(self, name: str, hint: Any, required: bool) -> None:
        try:
            self._adapters[name] = adapter = TypeAdapter(hint)
            self._shapes[name] = Shape(adapter.core_schema)
        except PydanticSchemaGenerationError:
            raise StartError(f"{self._uri}: no caller can give a {hint} for {name}") from None
        except StartError as error:
            raise StartError(f"{self._uri}: {name}: {error}") from None
        if required:
            self._required.add(name)

    def bind(self, call: Call) -> dict[str, Any]:
        """The caller's arguments, checked and converted to the annotated types."""
        names = list(self._adapters)
        if len(call.args) > len(names):
            most = f"at most {len(names)}: {', '.join(names)}" if names else "it takes none"
            raise InvalidArgument("arguments", f"{len(call.args)} given, {most}")
        given: dict[str, Any] = dict(zip(names, call.args, strict=False))
        for name, value in call.kwargs.items():
            if name not in self._adapters or name in given:
                problem = f"unknown or given twice; known: {', '.join(names)}"
                raise InvalidArgument(excerpt(name), problem)
            given[name] = value
        for name in sorted(self._required - given.keys()):
            raise InvalidArgument(name, f"missing; the arguments are {', '.join(names)}")
        work = Work()
        for name, value in given.items():
            work.spend(self._shapes[name], value, name)
            try:
                given[name] = self._adapters[name].validate_python(value)
            except ValidationError as error:
                raise _refusal(error, name) from None
            _check_decimals(given[name], name)
        if self._caller:
            given[self._caller] = call.caller
        return given

    def describe(self) -> Mapping[str, Any]:
        """Its entry in ``describe``."""
        return {
            "uri": self._uri,
            "kind": "python",
            "description": self._doc,
            "transaction": self.transaction,
            "arguments": [
                {
                    "name": name,
                    "required": name in self._required,
                    "schema": adapter.json_schema(),
                }
                for name, adapter in self._adapters.items()
            ],
        }


#: pydantic puts these before the text of an exception that a validator raised.
_RAISED_BY_VALIDATORS = ("Value error, ", "Assertion failed, ")


def _refusal(error: ValidationError, name: str) -> InvalidArgument:
    if error.error_count() > _MOST_ERRORS:
        return InvalidArgument(
            name, f"more than {_MOST_ERRORS} errors in it; send fewer values, to be told the first"
        )
    first = error.errors(include_url=False, include_input=False)[0]
    path = name
    for part in first["loc"]:
        path = below(path, part)
    problem = first["msg"]
    for kind in _RAISED_BY_VALIDATORS:
        problem = problem.removeprefix(kind)
    return InvalidArgument(path, problem)


def _check_decimals(argument: Any, name: str) -> None:
    """Refuse a Decimal that PostgreSQL's numeric cannot hold.

    The driver sends another number in its place, without an error.
    """
    rest = [argument]
    while rest:
        value = rest.pop()
        if isinstance(value, Decimal):
            if not fits_numeric(str(value)):
                raise InvalidArgument(name, f"{excerpt(str(value))} is out of range for numeric")
        elif isinstance(value, Mapping):
            rest += value.values()
        elif isinstance(value, list | tuple | set | frozenset | deque):
            rest += value
        elif isinstance(value, BaseModel):
            rest += [*vars(value).values(), *(value.model_extra or {}).values()]
        elif is_dataclass(value):
            # Not vars(): one with slots has none, and a slot may be empty.
            rest += [getattr(value, each.name, None) for each in fields(value)]
