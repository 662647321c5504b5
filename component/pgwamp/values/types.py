"""PostgreSQL types: their names, how their values travel, and their parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pgwamp.values.budget import Budget

#: How values of a type travel; ``literal`` is all that is a string in PostgreSQL's text form.
Form = Literal[
    "integer", "float", "boolean", "text", "bytea", "json", "numeric", "literal", "enum",
    "array", "composite", "range", "multirange", "hstore",
]  # fmt: skip
#: Types whose texts leave out the schemas of the search path.
_FOLLOWS_PATH = frozenset({
    "regclass", "regcollation", "regconfig", "regdictionary", "regoper", "regoperator", "regproc",
    "regprocedure", "regtype",
})  # fmt: skip
#: What becomes of a fetched value.
Converter = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Representation:
    """Functions (schema, name) that a domain's author chose for its values as JSON and text.

    :ivar to_json: makes what is answered.
    :ivar from_json: reads what is written.
    :ivar from_text: reads what is compared.
    """

    to_json: tuple[str, str] | None = None
    from_json: tuple[str, str] | None = None
    from_text: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Type:
    """One PostgreSQL type.

    :ivar name: as ``format_type`` writes it, without a modifier, where only the names of
        ``pg_catalog`` need no schema.
    :ivar form: how its values travel.
    :ivar element: the element of an array, the subtype of a range or multirange.
    :ivar fields: name and type of each field of a composite.
    :ivar relation: schema and name of the relation whose rows a composite is the type of.
    :ivar labels: of an enum.
    :ivar domain: its own name if it is a domain; all else is that of the type below.
    :ivar base: the oid of the type below, if it is a domain.
    :ivar output: schema and name of its output function; None for types that no catalog has given.
    :ivar delimiter: between the elements of an array in its text.
    :ivar casts: a cast of it runs a function of users.
    :ivar ordered: PostgreSQL sorts its values.
    :ivar operators: the schemas of the type's own operators, by the operator and the name of the
        type on its right; none for types that PostgreSQL itself compares.
    """

    oid: int
    name: str
    form: Form
    element: Type | None = None
    fields: tuple[tuple[str, Type], ...] = ()
    relation: tuple[str, str] | None = None
    labels: tuple[str, ...] = ()
    domain: str = ""
    representation: Representation | None = None
    output: tuple[str, str] | None = None
    delimiter: str = ","
    casts: bool = False
    base: int = 0
    ordered: bool = True
    operators: Mapping[tuple[str, str], str] = field(
        default_factory=dict, repr=False, compare=False
    )
    #: The labels to look one up in, and the positions of the fields by their names.
    label_set: frozenset[str] = field(init=False, repr=False, compare=False)
    positions: Mapping[str, int] = field(init=False, repr=False, compare=False)

    #: The type itself, the labels, and the parts of what it is made of.
    parts: int = field(init=False, repr=False, compare=False)
    #: Whether to read a value can run code of users.
    runs_code: bool = field(init=False, repr=False, compare=False)
    #: Whether the texts of its values differ between search paths.
    follows_path: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # A tree of types grows twice with each level: each is gone through once.
        within = [kind for _, kind in self.fields]
        if self.element is not None:
            within.append(self.element)
        parts = 1 + len(self.labels) + sum(kind.parts for kind in within)
        object.__setattr__(self, "parts", parts)
        own = self.casts or self.representation is not None
        runs_code = own or any(kind.runs_code for kind in within)
        object.__setattr__(self, "runs_code", runs_code)
        follows_path = self.name in _FOLLOWS_PATH or any(kind.follows_path for kind in within)
        object.__setattr__(self, "follows_path", follows_path)
        object.__setattr__(self, "label_set", frozenset(self.labels))
        positions = {name: position for position, (name, _) in enumerate(self.fields)}
        object.__setattr__(self, "positions", positions)

    def describe(self) -> str:
        """The type as a person reads it in an error."""
        if self.form == "enum":
            return f"{self.name} ({', '.join(self.labels)})"
        return self.name


#: A type, a value, its place, the call's budget -> what a parameter takes. The place is that in the
#: call, or begins within what holds the value: see :meth:`InvalidArgument.within`.
Binder = Callable[[Type, Any, str, Budget], Any]
TEXT_TYPE = Type(25, "text", "text")
