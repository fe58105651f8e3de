"""A file of SHA-1 hashes of breached passwords, sorted, one a line: ``HASH`` or ``HASH:COUNT``."""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from authapp.domain.passwords.breach_source import LINE, SHA1_LENGTH, BreachSourceError

MAX_LINE = 128
"""A longer line is none of a list; without a bound, a file without line ends would be read as a whole."""

SAMPLES = 1_000


class BreachFile:
    """Searches a file by halves. It is opened for each question, so it may be replaced (by renaming) at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def has_digest(self, digest: bytes) -> bool:
        """Return whether the file has this hash. Letters may be of either case, and lines may end in CRLF.

        Raises ``BreachSourceError`` if the file cannot be read, or a line on the way is not a hash.
        """
        with self._lines() as lines:
            low, high = 0, len(lines)
            while low < high:
                start, end = _line_at(lines, (low + high) // 2)
                found, count = _hash_and_count(lines[start:end])
                if found == digest:
                    return count != 0
                low, high = (end + 1, high) if found < digest else (low, start)
        return False

    def check(self) -> None:
        """Raise ``BreachSourceError`` unless a sample of the lines is in order: an unsorted file finds nothing."""
        with self._lines() as lines:
            size = len(lines)
            positions = {size * number // SAMPLES for number in range(SAMPLES)}
            sampled = [_hash_and_count(lines[slice(*_line_at(lines, position))])[0] for position in sorted(positions)]
        if any(before > after for before, after in pairwise(sampled)):
            raise BreachSourceError("The file is not sorted by the hashes.")

    @contextmanager
    def _lines(self) -> Iterator[mmap.mmap]:
        try:
            with self._path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as lines:
                yield lines
        except OSError as error:
            raise BreachSourceError(f"The file cannot be read: {error.strerror}.") from None
        except ValueError:  # mmap cannot map nothing
            raise BreachSourceError("The file is empty.") from None


def _line_at(lines: mmap.mmap, position: int) -> tuple[int, int]:
    """Return start and end of the line around ``position``, without its line feed."""
    before, after = max(0, position - MAX_LINE), min(len(lines), position + MAX_LINE)
    feed_before, feed_after = lines.rfind(b"\n", before, position), lines.find(b"\n", position, after)
    if (feed_before < 0 and before > 0) or (feed_after < 0 and after < len(lines)):
        raise _not_a_list()
    return (feed_before + 1 if feed_before >= 0 else 0), (feed_after if feed_after >= 0 else len(lines))


def _hash_and_count(line: bytes) -> tuple[bytes, int | None]:
    match = LINE.fullmatch(line.rstrip(b"\r"))
    if match is None or len(match[1]) != SHA1_LENGTH:
        raise _not_a_list()
    return match[1].upper(), None if match[2] is None else int(match[2])


def _not_a_list() -> BreachSourceError:
    return BreachSourceError("The file has a line that is no SHA-1 hash.")
