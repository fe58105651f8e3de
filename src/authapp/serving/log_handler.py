"""The handler of all events: one line each to standard error, and none that waits for a reader."""

import logging
import sys

from authapp.serving.log_output import LogOutput


class EventHandler(logging.Handler):
    """Writes records to standard error. Those that cannot be written are counted, and the next line says how many."""

    lost = 0
    """How many lines this process could not write since it last said so."""

    _output: LogOutput | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; never raises."""
        try:
            line = f"{self.format(record)}\n"
        except Exception:  # noqa: BLE001 - a message that does not fit its arguments is a bug of who logs it
            line = f"{self.format(_record(f'a message could not be formatted: {record.msg!r:.200}'))}\n"
        try:
            if self.lost:
                self._write(f"{self.format(_record(f'Lines of this log that a process lost: {self.lost}'))}\n")
                self.lost = 0
            self._write(line)
        except OSError:
            self.lost += 1

    def _write(self, line: str) -> None:
        if self._output is None:
            self._output = LogOutput.of(sys.stderr)
        self._output.write(line.encode("ascii", "backslashreplace"))


def _record(message: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.ERROR, __file__, 0, message, None, None)
