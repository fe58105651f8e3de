"""Native threads beside gevent's event loop: a long computation in a greenlet would keep everybody else waiting."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

T = TypeVar("T")


def executor(threads: int) -> Any:
    """Return an executor with so many threads of the operating system, also where gevent has patched ``threading``."""
    monkey: Any = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        from gevent.threadpool import ThreadPoolExecutor as NativeThreadPoolExecutor  # noqa: PLC0415 - only where it runs

        return NativeThreadPoolExecutor(threads)
    return ThreadPoolExecutor(threads)


def run(work: Callable[[], T]) -> T:
    """Return ``work()``, computed once on a thread of its own, with the context variables of this one.

    It must use nothing that belongs to greenlets, such as locks and connections. Raises what it raises.
    """
    with executor(1) as threads:
        result: T = threads.submit(copy_context().run, work).result()
    return result
