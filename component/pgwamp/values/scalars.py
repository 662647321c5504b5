"""Values that enter and have no parts: numbers, texts, bytes, and all that PostgreSQL reads."""

from __future__ import annotations

import math
import re
import sys
from typing import Any

from pgwamp.errors import InvalidArgument, excerpt, kind_of
from pgwamp.values.budget import Budget
from pgwamp.values.outgoing import finite
from pgwamp.values.types import Type

_INTEGER_RANGES = {
    name: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for name, bits in {"smallint": 16, "integer": 32, "bigint": 64}.items()
} | {"oid": (0, 2**32 - 1)}
_INTEGER = re.compile(r"[+-]?\d{1,20}", re.ASCII)
#: Repeats without a way back ("*+"), so that each character is read once.
_NUMERIC = re.compile(
    r"""\s*+(?P<number>[+-]?(?:
        (?=\.?\d) 0*+ (?P<whole>\d*+) (?P<fraction>\.(?P<zeros>0*+)\d*+)?
        (?:[eE](?P<exponent>[+-]?\d++))?
        | NaN | Infinity))\s*+""",
    re.ASCII | re.VERBOSE,
)
#: Digits of a numeric before and behind the point.
_MOST_WHOLE_DIGITS, _MOST_FRACTION_DIGITS = 131_072, 16_383
#: Characters of a number, with its sign, point and exponent.
_LONGEST_NUMBER = 150_000
#: Characters of an exponent; a longer one is out of every range.
_LONGEST_EXPONENT = 8
#: Beyond every amount of money, in whichever currency: it is counted in 64 bits.
_MONEY_END = 2**63
#: Digits of an amount before the point at most, and those behind it that are written out.
_MOST_MONEY_DIGITS, _MONEY_DIGITS = 19, 30
#: Bits of an integer that Python writes out; writing the largest takes quadratic time.
MOST_INTEGER_BITS = 14_000
_UUID = re.compile(r"\{?[0-9a-fA-F]{4}(-?[0-9a-fA-F]{4}){7}\}?")
#: What rounds to the largest real, not to infinity; what rounds to zero.
_LARGEST_REAL, _VANISHING_REAL = 3.402823567797336e38, 2.0**-150
_NONFINITE = {"nan": math.nan, "infinity": math.inf, "-infinity": -math.inf}
#: Characters of the longest of these.
_LONGEST_NONFINITE = 9
#: Characters of a text that PostgreSQL reads as a value of another type: its log quotes the whole
#: of one that it cannot read. An array of so many characters has half as many elements.
LONGEST_LITERAL = 20_000
#: The same, of PostgreSQL's own types whose values are longer.
_LONGEST_LITERALS = {
    "path": 1_000_000,
    "polygon": 1_000_000,
    "tsvector": 1_000_000,
    # Of these it quotes little.
    "bit": math.inf,
    "bit varying": math.inf,
    "xml": math.inf,
}
_EXPECTED: dict[str, str] = {
    "integer": "an integer",
    "float": "a number",
    "boolean": "true or false",
    "bytea": 'bytes, or a string of hex digits that begins with "\\x"',
    "numeric": "a number or a string of digits",
    "array": "a list",
    "composite": "a dict of its fields",
    "range": 'a string such as "[1,5)" or a dict with lower, upper, bounds',
    "hstore": "a dict of strings",
}


def mismatch(of: Type, value: Any, path: str) -> InvalidArgument:
    """The error of a value that is of another kind."""
    return InvalidArgument(path, f"expected {_EXPECTED.get(of.form, 'a string')} "
                                 f"for type {of.describe()}, got {kind_of(value)}")  # fmt: skip


def _out_of_range(of: Type, value: Any, path: str) -> InvalidArgument:
    return InvalidArgument(path, f"{excerpt(value)} is out of range for type {of.name}")


# Each is a Binder. Of values without parts, only long texts of floats spend of its budget.


def text(of: Type, value: Any, path: str, _: object = None) -> str:
    """A text as it is."""
    if type(value) is not str:
        raise mismatch(of, value, path)
    check_text(value, path)
    return value


def literal(of: Type, value: Any, path: str, _: object = None) -> str:
    """A text that PostgreSQL reads as a value of the type."""
    if type(value) is not str:
        raise mismatch(of, value, path)
    # The author of a type of users knows how long its values are.
    most = math.inf if "." in of.name else _LONGEST_LITERALS.get(of.name, LONGEST_LITERAL)
    if len(value) > most:
        raise InvalidArgument(
            path, f"a text of {len(value)} characters for type {of.name}, at most {most}"
        )
    check_text(value, path)
    if of.name == "uuid" and not _UUID.fullmatch(value):
        raise InvalidArgument(path, f"'{excerpt(value)}' is not a uuid")
    return value


def is_text(text: str) -> bool:
    """Whether PostgreSQL's text can hold it, as far as that is quick to see."""
    return text.isascii() and "\x00" not in text


def check_text(text: str, path: str) -> None:
    """Refuse what PostgreSQL's text cannot hold."""
    if "\x00" in text:
        raise InvalidArgument(path, "PostgreSQL text cannot hold the character NUL")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidArgument(path, "holds half a character (a lone surrogate)") from None


def integer(of: Type, value: Any, path: str, _: object = None) -> int:
    """An integer of the type's range."""
    if type(value) is not int:
        digits = type(value) is str and _INTEGER.fullmatch(value)
        if not digits and not (type(value) is float and value.is_integer()):
            raise mismatch(of, value, path)
        value = int(value)
    low, high = _INTEGER_RANGES[of.name]
    if not low <= value <= high:
        raise _out_of_range(of, value, path)
    return int(value)


def floating(of: Type, value: Any, path: str, budget: Budget) -> float:
    """A float of the type's range; one that would become zero or infinity is beyond it."""
    # The length first: to lower a long text takes long.
    if type(value) is str and len(value) <= _LONGEST_NONFINITE and value.lower() in _NONFINITE:
        return _NONFINITE[value.lower()]
    if type(value) is float and not math.isfinite(value):
        return value
    if type(value) not in (int, float) and not _number(value):
        raise mismatch(of, value, path)
    if type(value) is str:
        budget.spend_number(value, path)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    is_real = of.name == "real"
    if abs(number) > (_LARGEST_REAL if is_real else sys.float_info.max):
        raise _out_of_range(of, value, path)
    if number == 0:
        vanished = type(value) is str and _mantissa(value).strip(" \t\n\r\f\v+-.0") != ""
    else:
        vanished = is_real and abs(number) <= _VANISHING_REAL
    if vanished:
        raise _out_of_range(of, value, path)
    return number


def boolean(of: Type, value: Any, path: str, _: object = None) -> bool:
    """True or false."""
    if type(value) is not bool:
        raise mismatch(of, value, path)
    return value


def byte_count(of: Type, value: Any, path: str, _: object = None) -> bytes:
    """Bytes, given as such or as hex digits."""
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if type(value) is str and value.startswith("\\x"):
        try:
            return bytes.fromhex(value[2:])
        except ValueError:
            pass
    raise mismatch(of, value, path)


def numeric(of: Type, value: Any, path: str, _: object = None) -> str:
    """The text of a number that PostgreSQL's numeric can hold."""
    found = _number(value)
    if found:
        if not _fits_numeric(found):
            raise _out_of_range(of, value, path)
        return found["number"]
    if type(value) is int:
        if value.bit_length() > MOST_INTEGER_BITS:
            raise InvalidArgument(path, f"{excerpt(value)}: give it as a string of digits")
        return str(value)
    if type(value) is float:
        return str(finite(value))
    raise mismatch(of, value, path)


def money(of: Type, value: Any, path: str, _: object = None) -> str:
    """The text of a number in plain digits, or a text as PostgreSQL writes money."""
    if type(value) is int:
        if abs(value) >= _MONEY_END:
            raise _out_of_range(of, value, path)
        return str(value)
    # The text of a float, not the value that it has in binary.
    text = str(finite(value)) if type(value) is float else literal(of, value, path)
    found = _number(text)
    if found is None or found["whole"] is None:
        if type(value) is float:
            raise _out_of_range(of, value, path)
        return text
    amount = _plain(found) if _fits_numeric(found) else None
    if amount is None:
        raise _out_of_range(of, value, path)
    return amount


def _plain(number: re.Match[str]) -> str | None:
    """An amount in plain digits; None beyond every amount.

    Of any other form only digits and a point mean the same in every country. A short text can stand
    for very many digits, and PostgreSQL looks at one behind those of the currency.
    """
    # Without zeros at the begin.
    digits = number["whole"] + (number["fraction"] or ".")[1:]
    skipped = 0 if number["whole"] else len(number["zeros"] or "")
    digits = digits[skipped : skipped + _MOST_MONEY_DIGITS + _MONEY_DIGITS]
    point = len(number["whole"]) + int(number["exponent"] or "0") - skipped if digits else 0
    if point > _MOST_MONEY_DIGITS:
        return None
    if point > 0:
        lead, rest = digits[:point].ljust(point, "0"), digits[point:]
    else:
        lead, rest = "0", "0" * min(-point, _MONEY_DIGITS) + digits
    if int(lead) >= _MONEY_END:
        return None
    sign = "-" if number["number"].startswith("-") else ""
    rest = rest[:_MONEY_DIGITS]
    return f"{sign}{lead}.{rest}" if rest else f"{sign}{lead}"


def _number(value: Any) -> re.Match[str] | None:
    """The parts of a text that reads as a number."""
    if type(value) is str and len(value) <= _LONGEST_NUMBER:
        return _NUMERIC.fullmatch(value)
    return None


def _mantissa(number: str) -> str:
    return number.lower().partition("e")[0]


def fits_numeric(number: str) -> bool:
    """Whether PostgreSQL's numeric has as many digits before and behind the point."""
    found = _number(number)
    return found is not None and _fits_numeric(found)


def _fits_numeric(number: re.Match[str]) -> bool:
    exponent = number["exponent"] or "0"
    if len(exponent) > _LONGEST_EXPONENT:
        return False
    power = int(exponent)
    behind = len(number["fraction"] or ".") - 1
    if number["whole"]:
        before = len(number["whole"]) + power
    else:
        zeros = len(number["zeros"] or "")
        before = power - zeros if zeros < behind else 0
    return before <= _MOST_WHOLE_DIGITS and behind - power <= _MOST_FRACTION_DIGITS
