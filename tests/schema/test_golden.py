"""What watching makes of each kind of table is what the golden files say."""

from __future__ import annotations

import pytest

from tests.golden.files import assert_golden

from .conftest import Database
from .golden_watches import FOLDER, WATCHES, made


@pytest.mark.parametrize("name", WATCHES)
def test_what_watching_makes_is_what_the_golden_file_says(
    wamp_database: Database, name: str
) -> None:
    watch = WATCHES[name]
    if int(wamp_database.value("show server_version_num")) < watch.oldest * 10_000:
        pytest.skip(f"no such table before PostgreSQL {watch.oldest}")
    assert_golden(FOLDER / f"{name}.sql", made(wamp_database.query, watch))


def test_each_golden_file_is_compared() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(WATCHES)
