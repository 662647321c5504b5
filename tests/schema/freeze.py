"""The digests of all files of migrations: a revision that is released never changes.

python -m tests.schema.freeze    writes the list anew
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

VERSIONS = Path(__file__).parents[2] / "schema" / "versions"
FROZEN = Path(__file__).with_name("frozen.json")


def digests(versions: Path = VERSIONS) -> dict[str, str]:
    """Return the SHA-256 of each file of the migrations, by its path."""
    return {
        path.relative_to(versions).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in sorted(versions.rglob("*"))
        if path.suffix in (".py", ".sql")
    }


if __name__ == "__main__":
    FROZEN.write_text(json.dumps(digests(), indent=2) + "\n", encoding="utf-8")
