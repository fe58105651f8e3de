"""The handler of all events: one line each to standard error, and none that waits for a reader."""

import logging
import sys

from authapp.serving.log_output import LineWriter, LogOutput, lost_lines


class EventHandler(logging.Handler):
    """Writes records to standard error. Those that cannot be written are counted, and the next line says how many."""

    def __init__(self) -> None:
        """Write to what is standard error when the first record comes."""
        super().__init__()
        self._lines = LineWriter(lambda: LogOutput.of(sys.stderr))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; never raises."""
        try:
            line = f"{self.format(record)}\n"
        except Exception:  # noqa: BLE001 - a message that does not fit its arguments is a bug of who logs it
            line = f"{self.format(_record(f'a message could not be formatted: {record.msg!r:.200}'))}\n"
        if lost := self._lines.lost:
            if not self._write(f"{self.format(_record(f'This log could not be written. {lost_lines(lost)}'))}\n"):
                return  # which counted this record, as it would be lost too
            self._lines.lost = 0
        self._write(line)

    def _write(self, line: str) -> bool:
        return self._lines.write(line.encode("ascii", "backslashreplace"))


def _record(message: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.ERROR, __file__, 0, message, None, None)
