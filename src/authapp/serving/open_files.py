"""How many files a worker may have open: one for each connection, and some more."""

import contextlib
import resource

OTHER_FILES = 256
"""For the database, logs, modules and assets."""


def make_room(connections: int) -> None:
    """Raise the limit of this process so that ``connections`` fit, as far as the system allows.

    The usual limit of 1,024 is less than a worker may need, and without a free one nobody new is let in.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY:
            needed = min(needed, hard)
        # A sandbox may forbid it: then the limit is the operator's to raise.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
