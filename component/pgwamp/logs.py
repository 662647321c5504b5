"""Structured logs on standard error: structlog for us, and for what Autobahn says."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import structlog

from pgwamp.errors import printable

if TYPE_CHECKING:
    from pgwamp.settings import LogSettings


#: The logger of how a process begins and ends, which is told at every level.
LIFECYCLE = "pgwamp.lifecycle"


def is_console(settings: LogSettings) -> bool:
    """Whether people read the log lines, and not programs."""
    return settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())


def begin() -> None:
    """Hand log lines to Python's ``logging`` until something else is configured.

    By itself structlog prints everything to standard output, tracebacks with the values of all
    variables: secrets are among them.
    """
    if not structlog.is_configured():
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                _hand_over,
            ],
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
        )


_key_values = structlog.processors.KeyValueRenderer(key_order=["event"])


def _hand_over(
    logger: object, method: str, event: structlog.typing.EventDict
) -> tuple[tuple[str], dict[str, Any]]:
    """Return the line for ``logging``, which writes the traceback below it."""
    traceback = event.pop("exc_info", None)
    return (str(_key_values(logger, method, event)),), {"exc_info": traceback}


def configure(settings: LogSettings) -> None:
    """Send every log line of this process to standard error in one form."""
    console = is_console(settings)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
        if console
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *([_printable_values] if console else []),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    logging.getLogger(LIFECYCLE).setLevel(logging.INFO)
    # They narrate every connect attempt, asyncpg's pool with tracebacks; ours is the line to read.
    for noisy in ("autobahn", "asyncio", "asyncpg", "alembic", "txaio"):
        logging.getLogger(noisy).setLevel(
            logging.DEBUG if settings.level == "debug" else logging.ERROR
        )


def _printable_values(
    _logger: object, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Replace what would steer a terminal: names in the database may hold anything."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = "\n".join(printable(line) for line in value.split("\n"))
    return event


def get(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
