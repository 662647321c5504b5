"""Errors of callers who have roles: privilege first, then names.

A wrong argument is found before PostgreSQL is asked, and the error about it tells names of the
catalog. Here, in one place, such an error becomes a refusal where PostgreSQL would refuse the
caller, and tells only names that the caller may see otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pgwamp.access import Caller
from pgwamp.catalog import Relation, Routine
from pgwamp.database import Database
from pgwamp.database.failures import condition_name
from pgwamp.errors import (
    NAMED,
    CallError,
    InvalidArgument,
    Mentions,
    NotAuthorized,
    from_sqlstate,
)
from pgwamp.procedures.whole_rows import WholeRows
from pgwamp.query.unknown import Known, UnknownName, identity
from pgwamp.tasks import raise_if_cancelled

#: PostgreSQL's insufficient_privilege.
_DENIED = "42501"
#: How PostgreSQL's own refusals begin. Code of users can raise others.
_REFUSED = "permission denied for "
#: PostgreSQL's raise_exception: of RAISE without a condition.
_RAISED = "P0001"
#: Seconds that an error of PostgreSQL waits for the privileges of who gets it.
_PATIENCE = 1.0
#: Schema and name of a relation.
Key = tuple[str, str]
_PRIVILEGES = """
select n.nspname as schema, c.relname as name,
    case c.relkind when 'v' then 'view' when 'm' then 'materialized view'
        when 'f' then 'foreign table' else 'table' end as kind,
    has_any_column_privilege($4::name, c.oid, 'select, insert, update')
        or has_table_privilege($4::name, c.oid, 'delete') as usable,
    has_any_column_privilege($4::name, c.oid, 'select') as readable,
    array(
        select a.attname::text from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            and has_column_privilege($4::name, c.oid, a.attnum, 'select, insert, update')
    ) as columns,
    array(
        select a.attname::text from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            and has_column_privilege($4::name, c.oid, a.attnum, 'select')
    ) as selectable
from unnest($1::text[], $2::text[]) as r (schema, name)
join pg_namespace as n on n.nspname = r.schema
join pg_class as c on c.relnamespace = n.oid and c.relname = r.name
where has_schema_privilege($4::name, n.oid, 'usage')
union all
select null, r.name, 'function', true, true, null, null
from unnest($3::text[]) as r (name)
join pg_proc as p
    on p.proname = split_part(split_part(r.name, '(', 1), '.', 2)
join pg_namespace as n on n.oid = p.pronamespace
where r.name = concat(n.nspname, '.', p.proname, '(',
        array_to_string(p.proargtypes::oid[], ','), ')')
    and has_schema_privilege($4::name, n.oid, 'usage')
    and has_function_privilege($4::name, p.oid, 'execute')
"""


class Disclosure:
    """The errors of a relation's verbs, or of a routine.

    :param relation: what the verbs are of.
    :param routines: or the overloads of the routine.
    """

    def __init__(
        self,
        database: Database,
        *,
        relation: Relation | None = None,
        routines: Sequence[Routine] = (),
    ):
        self._database = database
        self._relation = relation
        self._routines = routines

    @asynccontextmanager
    async def to(
        self,
        caller: Caller,
        named: Callable[[], Mentions] = Mentions,
        asked: Callable[[], Iterable[WholeRows]] = tuple,
    ) -> AsyncIterator[None]:
        """Let errors through as the caller may see them.

        :param named: what the call names, for an error that PostgreSQL finds before it refuses.
        :param asked: the whole rows that the call asks for, for a refusal of PostgreSQL.
        """
        try:
            yield
        except CallError as error:
            sqlstate = str(error.details.get("sqlstate", ""))
            if isinstance(error, InvalidArgument) and not sqlstate:
                raise await self._disclosed(error, caller) from None
            if not self._database.roles or error.may_be_committed or error.names_nothing:
                raise
            if sqlstate == _DENIED and error.message.startswith(_REFUSED):
                raise await self._cured(error, caller, asked()) from None
            if not sqlstate:
                raise
            # Any can come as PostgreSQL plans a statement, before it asks for privileges: it runs
            # functions then, which raise what they like.
            mentions = named()
            try:
                async with asyncio.timeout(_PATIENCE):
                    seen = await self._seen(mentions, caller, admitted=True)
            except (CallError, TimeoutError):
                raise _without_words(error, sqlstate) from None
            raise self._refusal(mentions, seen) or error from None

    async def _cured(
        self, error: CallError, caller: Caller, asked: Iterable[WholeRows]
    ) -> CallError:
        """Return the refusal with a cure, if the role may read some of the columns."""
        named = [rows for rows in asked if error.message.endswith(f" {rows.relation.name}")]
        if not named:
            return error
        try:
            async with asyncio.timeout(_PATIENCE):
                keys = {rows.relation.key for rows in named}
                seen = await self._privileges(caller, keys, admitted=True)
        except (CallError, TimeoutError):
            return error
        for rows in named:
            relation, row = rows.relation, seen.relations.get(rows.relation.key)
            if row is None or error.message != _denied(row["kind"], relation.name).message:
                continue
            if row["selectable"] and not set(relation.by_name) <= set(row["selectable"]):
                return NotAuthorized(
                    f"{error.message}: the role may not read every column; {rows.cure}",
                    **{**error.details, "argument": rows.argument},
                )
        return error

    async def _disclosed(self, error: InvalidArgument, caller: Caller) -> CallError:
        mentions, seen = error.mentions, None
        known = error.known if isinstance(error, UnknownName) else ()
        if self._database.roles:
            seen = await self._seen(mentions, caller, known)
            if (refusal := self._refusal(mentions, seen)) is not None:
                return refusal
            if not all(seen.has(key, name) for key, name in mentions.row_fields):
                return InvalidArgument(str(error.details["argument"]), "does not fit its type")
        if not isinstance(error, UnknownName):
            return error
        nearest = next((key for key, _ in mentions.relations), None)
        about = None if nearest in mentions.answered.values() else nearest
        return error.telling(lambda known: seen is None or seen.shows(known, about))

    def _needed(self, mentions: Mentions) -> list[tuple[Key, tuple[str, ...]]]:
        """The relations whose privileges count, with the columns of each."""
        answered = mentions.answered.values()
        needed = [pair for pair in mentions.relations if pair[0] not in answered]
        if self._relation is not None:
            needed.append((self._relation.key, ()))
        return needed

    async def _seen(
        self,
        mentions: Mentions,
        caller: Caller,
        known: Iterable[Known] = (),
        *,
        admitted: bool = False,
    ) -> _Seen:
        relations = {key for key, _ in (*self._needed(mentions), *mentions.row_fields)}
        relations.update(key for name in known for key, _ in name.further)
        routines = {identity(routine) for routine in self._routines} | mentions.routines.keys()
        routines.update(name.routine for name in known if name.routine is not None)
        return await self._privileges(caller, relations, routines, admitted=admitted)

    async def _privileges(
        self,
        caller: Caller,
        relations: Iterable[Key],
        routines: Iterable[str] = (),
        *,
        admitted: bool,
    ) -> _Seen:
        """Ask for the privileges of the caller's role.

        :param admitted: PostgreSQL has run something as the caller. Then calls that are under way
            keep no error waiting: it is asked where only statements of ours run.
        """
        # An error of a call that was cancelled is not explained: it has no deadline any more.
        raise_if_cancelled()
        keys = sorted(relations)
        schemas, names = [schema for schema, _ in keys], [name for _, name in keys]
        database = self._database
        lent = database.answering(caller, admitted=True) if admitted else database.own_as(caller)
        async with lent as connection:
            role = database.roles.of(caller)
            of = None if role is None else role.name
            rows = await connection.fetch(_PRIVILEGES, schemas, names, sorted(routines), of)
        return _Seen(
            {(row["schema"], row["name"]): row for row in rows if row["schema"] is not None},
            {row["name"] for row in rows if row["schema"] is None},
        )

    def _refusal(self, mentions: Mentions, seen: _Seen) -> NotAuthorized | None:
        """The refusal that PostgreSQL would give first."""
        if self._routines and not any(identity(r) in seen.routines for r in self._routines):
            return _denied("function", self._routines[0].name)
        for routine, name in mentions.routines.items():
            if routine not in seen.routines:
                return _denied("function", name)
        for key, columns in self._needed(mentions):
            row = seen.relations.get(key)
            if row is None or not row["usable"] or not set(columns) <= set(row["columns"]):
                return _denied(row["kind"] if row else "relation", key[1])
        return None


@dataclass(frozen=True, slots=True)
class _Seen:
    """The relations that a caller's role may use, and the routines that it may execute."""

    relations: Mapping[Key, Any]
    routines: Collection[str]

    def has(self, relation: Key, column: str) -> bool:
        """Whether the caller has a privilege on a column."""
        row = self.relations.get(relation)
        return row is not None and column in row["columns"]

    def shows(self, known: Known, about: Key | None) -> bool:
        """Whether the caller may see a name, in an error about this relation."""
        if known.columns and about is not None:
            own = self.relations.get(about)
            if own is None or not set(known.columns) <= set(own["columns"]):
                return False
        for key, columns in known.further:
            row = self.relations.get(key)
            if row is None or not row["readable"] or not set(columns) <= set(row["columns"]):
                return False
        return known.routine is None or known.routine in self.routines


def _without_words(error: CallError, sqlstate: str) -> CallError:
    """Return an error that tells nothing but what has gone wrong: no names."""
    is_named = sqlstate == NAMED
    code = _RAISED if is_named else sqlstate
    condition = condition_name(code)
    message = f"{condition}; your privileges could not be asked for, and so no more is told"
    told = from_sqlstate(code, condition, {"message": message})
    if not is_named:
        told.uri = error.uri
    return told


def _denied(kind: str, name: str) -> NotAuthorized:
    return NotAuthorized(f"permission denied for {kind} {name}", sqlstate=_DENIED)
