"""The handler of all logs but that of requests: one line each to standard error, and none that waits for a reader."""

import logging
import sys

from authapp.logs.json_lines import quoted, utc
from authapp.logs.output import LineWriter, LogOutput, lost_lines


class LogHandler(logging.Handler):
    """Writes records to standard error. Those that cannot be written are counted, and the next line says how many."""

    def __init__(self) -> None:
        """Write to the standard error that there is when the first record comes."""
        super().__init__()
        self._lines = LineWriter(lambda: LogOutput.of(sys.stderr))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; never raises."""
        if (lost := self._lines.lost) > self._lines.reported:
            if not self._write(_line(record, f"This log could not be written. {lost_lines(lost)}")):
                return  # which counted this record, as it would be lost too
            self._lines.reported = lost
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a message that does not fit its arguments is a bug of the code that logs it
            line = _line(record, f"A message could not be formatted: line {record.lineno} of {record.pathname}")
        self._write(line)

    def _write(self, line: str) -> bool:
        return self._lines.write(f"{line}\n".encode("ascii", "backslashreplace"))


def _line(record: logging.LogRecord, message: str) -> str:
    """Return a line at the time of ``record``, by hand: a formatter may fail again."""
    timestamp = utc(record.created)
    return f'{{"timestamp": "{timestamp}", "level": "ERROR", "name": "{__name__}", "message": {quoted(message, 1000)}}}'
