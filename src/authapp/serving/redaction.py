"""The log of gunicorn about a client that it serves, without anything that the client has sent.

gunicorn quotes request lines, headers, chunks and addresses in its messages, and a broken one may hold a token or a
password. Names that this file depends on, and that no document promises (tests/serving/test_gunicorn_names.py): the
logger ``gunicorn.error``, and ``Invalid request from ip={ip}: {error}``, the one message that is put together before it
is logged.
"""

import logging
import re
import sys
import traceback
from contextvars import ContextVar

LOGGER = "gunicorn.error"

serving_client: ContextVar[bool] = ContextVar("serving_client", default=False)
"""Whether this greenlet serves a client; set by the worker."""

_INVALID_REQUEST = re.compile(r"Invalid request from ip=[0-9A-Za-z.:%_-]*(?=: )")


class Redaction(logging.Filter):
    """Keeps the words of a message that are gunicorn's own, and of an exception its type and place in the code."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record if it is about a client; never drop it."""
        if serving_client.get():
            _redact(record)
        return True


def install() -> None:
    """Redact what this process logs from now on."""
    logger = logging.getLogger(LOGGER)
    if not any(isinstance(each, Redaction) for each in logger.filters):
        logger.addFilter(Redaction())


def _redact(record: logging.LogRecord) -> None:
    template = str(record.msg)
    if invalid := _INVALID_REQUEST.match(template):
        error = sys.exc_info()[0]
        message = f"{invalid[0]}: {error.__name__ if error else 'unknown'}"
    else:
        message = template.partition("%")[0].rstrip(" .:") if record.args else template
    if record.exc_info and record.exc_info[0]:
        message += f": {record.exc_info[0].__name__}, at\n{''.join(traceback.format_tb(record.exc_info[2]))}"
    record.msg, record.args, record.exc_info, record.exc_text = message, None, None, None
