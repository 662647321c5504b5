"""The command ``pgwamp``, also as ``python -m pgwamp``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; Ctrl-C while its modules are imported ends it without a traceback."""
    try:
        from pgwamp.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
