"""The statements of representative requests are those of the golden files."""

from __future__ import annotations

import pytest

from tests.golden.files import assert_golden, formatted
from tests.query.conftest import Bench
from tests.query.golden_kinds import KINDS
from tests.query.golden_requests import FOLDER, Maker


@pytest.fixture(scope="module")
def maker(bench: Bench) -> Maker:
    return Maker(bench)


@pytest.mark.parametrize("kind", KINDS)
def test_statements_are_those_of_the_golden_file(maker: Maker, kind: str) -> None:
    assert_golden(FOLDER / f"{kind}.sql", maker.file(kind))


def test_each_golden_file_is_compared() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_golden_file_says_what_postgresql_understands(
    maker: Maker, bench: Bench, kind: str
) -> None:
    for made in maker.all(KINDS[kind]):
        if "csv" in made.ask.request:
            continue  # of several statements; tests/procedures runs them
        for _, sql in made.statements:
            written = formatted(sql)
            assert "".join(written.split()) == "".join(sql.split())
            bench.run(bench.connection.prepare(written))
