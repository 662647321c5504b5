"""``python -m pgwamp`` is the ``pgwamp`` command."""

from pgwamp.cli import main

if __name__ == "__main__":
    main()
