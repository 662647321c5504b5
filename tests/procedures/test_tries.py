"""Bounds on the errors of pydantic, whose number grows with the choices of unions."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Optional
from uuid import UUID

import pytest
from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    WrapValidator,
    create_model,
)
from typing_extensions import TypeAliasType, TypedDict

from pgwamp.errors import InvalidArgument, StartError
from pgwamp.procedures.validation import MOST_ERRORS, Shape, Work

Wrap = Callable[[Any], Any]


class Not(BaseModel):
    operand: Expression


class Negative(BaseModel):
    operand: Expression


class Is(BaseModel):
    column: str


Expression = Not | Negative | Is


class First(BaseModel):
    kind: Literal["first"]
    of: Tagless


class Second(BaseModel):
    kind: Literal["second"]
    of: Tagless


Tagless = Annotated[First | Second | int, Field(union_mode="left_to_right")]


class And(BaseModel):
    all: list[Filter]


class Or(BaseModel):
    any: list[Filter]


Filter = And | Or | Is


class Up(TypedDict):
    to: Way


@dataclass
class Down:
    to: Way


Way = Up | Down | None


class Aliased(BaseModel):
    inner: Deep = Field(validation_alias=AliasPath("a", "b"))


class Chosen(BaseModel):
    inner: Deep = Field(validation_alias=AliasChoices("x", AliasPath("a", "b")))


Deep = Aliased | Chosen


class Plus(BaseModel):
    kind: Literal["plus"]
    of: Tagged


class Minus(BaseModel):
    kind: Literal["minus"]
    of: Tagged


class Value(BaseModel):
    kind: Literal["value"]
    value: int


Tagged = Annotated[Plus | Minus | Value, Field(discriminator="kind")]


class Left(BaseModel):
    left: Named


class Right(BaseModel):
    right: Named


Named = Annotated[
    Annotated[Left, Tag("left")] | Annotated[Right, Tag("right")],
    Discriminator(lambda value: next(iter(value), None)),
]


class Tree(BaseModel):
    left: Tree | None = None
    right: Optional[Tree] = None  # noqa: UP045 (as applications write it)


class Branch(BaseModel):
    of: list[Branch]


class Place(NamedTuple):
    x: int
    y: int
    z: int = 0


for model in (Not, Negative, First, Second, And, Or, Aliased, Chosen, Plus, Minus, Left, Right):
    model.model_rebuild()

Json = TypeAliasType("Json", "dict[str, Json] | list[Json] | str | int | float | bool | None")
Listed = TypeAliasType("Listed", "list[Listed] | tuple[Listed, ...] | int")
Grouped = TypeAliasType("Grouped", "list[Grouped] | set[Grouped] | int")
Series = TypeAliasType("Series", "Sequence[Series] | int")
Plain = TypeAliasType("Plain", "list[Plain] | int")
Checked = TypeAliasType(
    "Checked",
    Annotated["list[Checked] | int", WrapValidator(lambda value, handler: handler(value))],
)
FLAT: Any = [create_model(f"Flat{n}", **{f"field_{n}": (int, ...)}) for n in range(10)]
CLOSED: Any = [
    create_model(f"Closed{n}", __config__={"extra": "forbid"}, **{f"f{n}": (int, ...)})
    for n in range(10)
]
WIDE: Any = create_model("Wide", **{f"field_{n}": (int, ...) for n in range(50)})
DATED: Any = create_model(
    "Dated", of=(UUID | date | time | datetime | timedelta | Decimal | IPv4Address | Path, ...)
)


def refuse(text: str) -> str:
    raise ValueError


REFUSED: Any = [Annotated[str, AfterValidator(refuse), Field(title=str(n))] for n in range(10)]


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


SIZED: Any = [
    create_model(f"Sized{size}", __base__=WIDE, size=(Literal[size], ...)) for size in Size
]


def any_of(models: list[Any]) -> Any:
    """The union of models that are made when it runs."""
    union = models[0]
    for each in models[1:]:
        union |= each
    return union


def nested(levels: int, wrap: Wrap, innermost: Any) -> Any:
    for _ in range(levels):
        innermost = wrap(innermost)
    return innermost


def depths(wrap: Wrap, innermost: Any) -> Callable[[int], Any]:
    """Values of one to 14 levels."""
    return lambda size: nested(size, wrap, innermost)


def widths(member: Any, wrap: Wrap = lambda members: members) -> Callable[[int], Any]:
    """Lists of up to 19,600 members."""
    return lambda size: wrap([member] * (100 * size * size))


def deeply(levels: int) -> Wrap:
    return lambda members: nested(levels, lambda value: [value], members)


def spend(annotation: Any, value: Any) -> None:
    Work().spend(Shape(TypeAdapter(annotation).core_schema), value, "it")


def refusal(annotation: Any, value: Any) -> InvalidArgument | None:
    try:
        spend(annotation, value)
    except InvalidArgument as refused:
        return refused
    return None


def errors(annotation: Any, value: Any) -> int:
    try:
        TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        return error.error_count()
    return 0


HOSTILE: dict[str, tuple[Any, Callable[[int], Any]]] = {
    "models": (Expression, depths(lambda v: {"operand": v}, {"column": 1})),
    "models, valid": (Expression, depths(lambda v: {"operand": v}, {"column": ""})),
    "models with literals": (Tagless, depths(lambda v: {"kind": "first", "of": v}, "x")),
    "filters of both kinds": (Filter, depths(lambda v: {"all": [v], "any": [v]}, {})),
    "a dataclass and a typed dict": (Way, depths(lambda v: {"to": v}, "x")),
    "paths of aliases": (Deep, depths(lambda v: {"a": {"b": v}}, "x")),
    "lists and tuples": (Listed, depths(lambda v: [v], "x")),
    "lists and sets": (Grouped, depths(lambda v: [v], "x")),
    "sequences": (Series, widths("x", deeply(10))),
    "wrap validators": (Checked, widths("x", deeply(10))),
    "deep JSON": (Json, widths(b"", deeply(80))),
    "deep models": (Branch, widths(0, lambda v: nested(40, lambda w: {"of": [w]}, {"of": v}))),
    "flat models": (list[any_of(FLAT)], widths({})),
    "values of a dict": (
        dict[str, any_of(FLAT)], lambda n: {str(key): {} for key in range(100 * n * n)}
    ),
    "lists of flat models": (any_of([list[each] for each in FLAT]), widths({})),
    "models that forbid other fields": (
        any_of(CLOSED), lambda n: {str(key): 0 for key in range(100 * n * n)}
    ),
    "missing fields": (list[WIDE], widths({})),
    "choices of a field": (list[DATED], widths({"of": []})),
    "texts that validators refuse": (list[any_of(REFUSED)], widths("x")),
    "tags of an enum": (
        list[Annotated[any_of(SIZED), Field(discriminator="size")]], widths({"size": "large"})
    ),
    "short tuples": (list[tuple[(int,) * 50]], widths([])),
    "named tuples": (list[any_of([list[Place], Place, tuple[(int,) * 50]])], widths([])),
}  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE)
def test_values_that_make_more_errors_than_the_bound_are_refused(hostile: str) -> None:
    annotation, value = HOSTILE[hostile]
    spend(annotation, value(1))
    for size in range(1, 15):
        refused = refusal(annotation, value(size))
        if refused:
            break
        assert errors(annotation, value(size)) <= MOST_ERRORS
    assert refused
    assert refused.details["argument"] == "it"
    assert "discriminator" in refused.message


ORDINARY: dict[str, tuple[Any, Any]] = {
    "ten levels": (Expression, nested(9, lambda v: {"operand": v}, {"column": ""})),
    "deep values with a tag": (
        Tagged, nested(90, lambda v: {"kind": "plus", "of": v}, {"kind": "value", "value": 1})
    ),
    "deep values with a function for the tag": (
        Named, nested(90, lambda v: {"left": v}, {"right": {}})
    ),
    "deep filters of one kind": (Filter, nested(40, lambda v: {"all": [v]}, {"column": ""})),
    "a wide filter": (Filter, {"any": [{"column": ""}] * 6_000}),
    "a deep tree": (Tree, nested(90, lambda v: {"left": v}, {})),
    "a large JSON value": (Json, {"rows": [{"a": 1, "b": "x"}] * 6_600}),
    "many rows": (list[WIDE], [{f"field_{n}": n for n in range(50)}] * 390),
    "many models of three": (list[any_of(FLAT[:3])], [{"field_2": 1}] * 9_990),
    "a long list": (list[int | None], [None] * 19_990),
    "a long list of pairs": (list[tuple[int, str]], [[1, "x"]] * 6_600),
}  # fmt: skip


@pytest.mark.parametrize("ordinary", ORDINARY)
def test_values_of_few_choices_pass(ordinary: str) -> None:
    spend(*ORDINARY[ordinary])


def test_errors_within_a_wrap_validator_count_as_more() -> None:
    members = nested(10, lambda value: [value], ["x"] * 1_500)
    assert refusal(Plain, members) is None
    assert refusal(Checked, members)


def test_the_arguments_of_a_call_share_the_bound() -> None:
    shape, work = Shape(TypeAdapter(Expression).core_schema), Work()
    value = nested(9, lambda v: {"operand": v}, {"column": ""})
    work.spend(shape, value, "it")
    work.spend(shape, value, "it")
    work.spend(shape, value, "it")
    with pytest.raises(InvalidArgument):
        work.spend(shape, value, "it")


def test_iterables_are_refused_because_pydantic_checks_their_members_later() -> None:
    for annotation in (Iterable[int], list[Iterable[int]], Generator[int, None, None]):
        with pytest.raises(StartError, match="annotate a list"):
            Shape(TypeAdapter(annotation).core_schema)
    Shape(TypeAdapter(Sequence[int]).core_schema)
