"""Golden files: how statements are written into them, and how they are compared."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path

COMMAND = "python -m tests.golden"
#: What is in brackets stays on its line if it is no longer.
_WIDTH = 90
_TOKEN = re.compile(r"\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'|\s+|[(),]|[^\s\"'(),]+")
#: Words that begin a line, if none of these stands before them.
_CLAUSES = {
    "SELECT": (), "FROM": ("DISTINCT", "DELETE"), "WHERE": (), "GROUP": (), "HAVING": (),
    "ORDER": (), "LIMIT": (), "OFFSET": (), "RETURNING": (), "SET": ("UPDATE",),
    "VALUES": ("DEFAULT",), "CROSS": (), "LEFT": (), "JOIN": ("CROSS", "LEFT", "OUTER"),
    "UNION": (), "ON CONFLICT": (), "DELETE": (), "INSERT": (), "UPDATE": ("DO",), "CALL": (),
}  # fmt: skip
#: Words that begin a line within a clause.
_JOINED = ("AND", "OR")
_NESTED = {"SELECT", "INSERT", "UPDATE", "DELETE"}

Token = str | list["Token"]


def formatted(sql: str) -> str:
    """A statement in lines: a clause, a column, a condition in each. Only spaces differ."""
    return _broken(_tree(sql), 0)


def _tree(sql: str) -> list[Token]:
    """The tokens of a statement; what is in brackets is a list of its own."""
    stack: list[list[Token]] = [[]]
    for token in _TOKEN.findall(sql.strip().replace("ON CONFLICT", "ON\0CONFLICT")):
        if token == "(":
            inner: list[Token] = []
            stack[-1].append(inner)
            stack.append(inner)
        elif token == ")":
            stack.pop()
        elif token.isspace():
            stack[-1].append(" ")
        else:
            stack[-1].append(token.replace("\0", " "))
    return stack[0]


def _flat(tokens: list[Token]) -> str:
    return "".join(t if isinstance(t, str) else f"({_flat(t)})" for t in tokens)


def _has_query(tokens: list[Token]) -> bool:
    return any(_has_query(t) if isinstance(t, list) else t.upper() in _NESTED for t in tokens)


def _has_parts(tokens: list[Token]) -> bool:
    return any(isinstance(t, str) and t.upper() in (",", *_JOINED, *_CLAUSES) for t in tokens)


def _inner(tokens: list[Token], level: int) -> str:
    """What is in brackets."""
    flat = _flat(tokens)
    if len(flat) <= _WIDTH and not _has_query(tokens):
        return flat
    if not _has_parts(tokens):
        return _broken(tokens, level)
    return f"{_line(level + 1)}{_broken(tokens, level + 1)}{_line(level)}"


def _broken(tokens: list[Token], level: int) -> str:
    is_query = any(isinstance(t, str) and t.upper() in _CLAUSES for t in tokens)
    inner = level + 1 if is_query else level
    text, word, here = "", "", level
    for token in tokens:
        if isinstance(token, list):
            text += f"({_inner(token, here)})"
            continue
        # PostgreSQL's own functions write in small letters.
        upper = token.upper()
        starts = upper in _CLAUSES and word not in _CLAUSES[upper]
        if text and (starts or (upper in _JOINED and word != "BETWEEN")):
            here = level if starts else inner
            text = text.rstrip() + _line(here) + token
        elif token == ",":
            here = inner
            text += f",{_line(here)}"
        elif token != " " or not text.endswith((" ", "\n")):
            text += token
        word = word if token == " " else upper
    return text.rstrip()


def _line(level: int) -> str:
    return "\n" + "  " * level


def comments(lines: Iterable[str]) -> str:
    """Lines of comments."""
    return "".join(f"-- {line}".rstrip() + "\n" for line in lines)


def listed(texts: Iterable[str]) -> str:
    """A comment with as many texts in a line as fit."""
    lines: list[str] = []
    for text in texts:
        if lines and len(lines[-1]) + len(text) < _WIDTH:
            lines[-1] += f"; {text}"
        else:
            lines.append(text)
    return comments(lines)


def difference(path: Path, made: str) -> str:
    """How a golden file differs from what is made now; empty where it does not."""
    kept = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = difflib.unified_diff(
        kept.splitlines(), made.splitlines(), f"{path.name}, committed", "made now", lineterm=""
    )
    return "\n".join(lines)


def assert_golden(path: Path, made: str) -> None:
    """Fail where a golden file is not what is made now."""
    found = difference(path, made)
    assert not found, f"{found}\n\nif that is meant: {COMMAND}, and commit what it writes"
