"""Bounds on the work of pydantic, from the annotations of Python procedures."""

from __future__ import annotations

import datetime
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv4Network, IPv6Interface, IPv6Network
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import AfterValidator, BaseModel, Field, RootModel, TypeAdapter

from pgwamp.errors import InvalidArgument
from pgwamp.procedures.validation import MOST_KEYS, Shape, Work


class Named(BaseModel):
    # Fields with the names of parts of a core schema.
    type: str
    keys_schema: str
    ref: str


class Tree(BaseModel):
    children: list[Tree]
    weights: dict[int, str] = {}


class Number(RootModel[int], frozen=True):
    pass


class Order(BaseModel):
    note: str
    lines: list[Annotated[Number, Field(title="a number")]]


@dataclass(frozen=True)
class Point:
    x: int


def spend(annotation: Any, *arguments: Any) -> None:
    shape, work = Shape(TypeAdapter(annotation).core_schema), Work()
    for argument in arguments:
        work.spend(shape, argument, "it")


@pytest.mark.parametrize(
    "annotation",
    [
        set[int], set, frozenset[Decimal], Set[float], set[UUID | str], set[tuple[int, str]],
        dict[UUID, str], dict[int, Any], Mapping[int | None, str], Counter[int], Counter,
        defaultdict[int, int], OrderedDict[int, int], list[dict[str, set[datetime.date]]], Tree,
        Tree | None, dict[tuple[Any], str],
    ],
)  # fmt: skip
def test_members_that_may_become_keys_of_one_hash_are_bounded(annotation: Any) -> None:
    spend(annotation, ["1"] * MOST_KEYS)
    for members in (["1"] * (MOST_KEYS + 1), {str(key): 1 for key in range(MOST_KEYS + 1)}):
        with pytest.raises(InvalidArgument, match="it: more than 1000 members") as refused:
            spend(annotation, members)
        assert refused.value.details["argument"] == "it"
    with pytest.raises(InvalidArgument):
        spend(annotation, ["1"] * MOST_KEYS, ["1"])
    with pytest.raises(InvalidArgument):
        spend(annotation, [["1"] * 500, {"1": ["1"] * 499}])


@pytest.mark.parametrize(
    "annotation",
    [
        set[Number], dict[Number, str], Tree | set[Number], tuple[Number, set[Number]],
        set[IPv6Network], set[IPv4Network | IPv6Network], dict[IPv6Interface, int],
        Mapping[Fraction, str], dict[Annotated[str, AfterValidator(UUID)], str], set[Point],
    ],
)  # fmt: skip
def test_a_tenth_of_the_members_may_become_keys_that_compare_in_python(annotation: Any) -> None:
    spend(annotation, ["1"] * 100)
    with pytest.raises(InvalidArgument, match="more than 100 members"):
        spend(annotation, ["1"] * 101)


@pytest.mark.parametrize(
    "annotation",
    [
        Any, list, list[int], dict, dict[str, int], dict[Any, int], Mapping[str, UUID], set[str],
        frozenset[Annotated[str, Field(max_length=5)]], set[Literal["a", 1]], set[str | None],
        Named, Order, dict[str, Order],
    ],
)  # fmt: skip
def test_members_that_become_no_keys_but_texts_are_not_bounded(annotation: Any) -> None:
    spend(annotation, [1] * (MOST_KEYS + 1))


@pytest.mark.parametrize(
    "annotation", [Decimal, list[float], Order, dict[int, str], str | Fraction]
)
@pytest.mark.parametrize("beginning", ["1", "  -", "0.00", "+_1e", "nan", "sNaN1", "1/", "٣"])
def test_texts_of_long_numbers_are_bounded_in_all(annotation: Any, beginning: str) -> None:
    number = beginning + "0" * (150_000 - len(beginning))
    spend(annotation, number, [number])
    with pytest.raises(InvalidArgument, match="more than 300000 characters"):
        spend(annotation, number, {number: {}}, "0" * 41)
    spend(annotation, number, [number], "0" * 40)


def test_long_texts_that_are_no_numbers_or_are_not_read_as_such_are_not_bounded() -> None:
    spend(Order, "a note of 12 words " * 100_000)
    spend(list[str], ["1" * 400_000])
    spend(dict[UUID, str], {"": "1" * 400_000})
