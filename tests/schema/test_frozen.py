"""Migrations are frozen: databases have run them."""

from __future__ import annotations

import json

from .freeze import FROZEN, digests


def test_no_file_of_a_migration_has_changed() -> None:
    frozen = json.loads(FROZEN.read_text(encoding="utf-8"))
    found = digests()
    changed = sorted(name for name, digest in frozen.items() if found.get(name) != digest)
    new = sorted(found.keys() - frozen.keys())

    assert changed == [], (
        "databases may have run these migrations as they were: put the change into a new revision; "
        "only if the revision is in no release yet, run: python -m tests.schema.freeze"
    )
    assert new == [], "a migration is frozen with its commit: python -m tests.schema.freeze"
