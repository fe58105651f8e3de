"""How processes that run on write their log: one JSON object a line to standard error, as docs/operations.md lists.

- ``formatter``: a record as JSON; it needs python-json-logger, of the extra ``server``
- ``handler``, ``output``: lines that wait for no reader
- ``json_lines``: JSON short enough for a pipe
"""

import logging.config
from typing import Any

LEVELS = frozenset({"DEBUG", "INFO", "WARNING", "ERROR"})
"""The values of AUTHAPP_LOG_LEVEL."""


def config(level: str) -> dict[str, Any]:
    """Return the settings for ``logging.config.dictConfig``, with the least ``level`` that is written."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        # By name: its library is imported only by processes that log like this.
        "formatters": {"json": {"()": "authapp.logs.formatter.LogFormatter", "fmt": ["level", "name", "message"]}},
        "handlers": {"json": {"()": "authapp.logs.handler.LogHandler", "formatter": "json"}},
        "root": {"level": level, "handlers": ["json"]},
        "loggers": {"alembic": {"level": "WARNING"}},
    }


def install(level: str) -> None:
    """Log like this from now on, in place of what the root logger had."""
    logging.config.dictConfig(config(level))
