"""Looking up host names within a time limit, without blocking the event loop. libpq itself would do neither.

Python's look-up runs on a thread, of gevent where it has replaced the sockets.
"""

import _thread
import socket
from concurrent.futures import Future
from ipaddress import ip_address

from psycopg2 import OperationalError

_under_way: dict[str, "Future[list[str]]"] = {}
"""By host name. All that ask for a name share one look-up: otherwise those that are given up would pile up."""


def is_name(host: str) -> bool:
    """Return whether ``host`` must be looked up: it is neither empty, nor an address, nor a folder of Unix sockets."""
    if not host or host.startswith(("/", "@")):
        return False
    try:
        ip_address(host)
    except ValueError:
        return True
    return False


def addresses_of(host: str, seconds: float) -> list[str]:
    """Return the IP addresses of ``host``, in the order in which to try them.

    Raises ``OperationalError``, as libpq does for a name that it cannot look up, after ``seconds`` at the latest.
    """
    new: Future[list[str]] = Future()
    look_up = _under_way.setdefault(host, new)
    if look_up is new:
        _start(host, look_up)
    try:
        return look_up.result(seconds)
    except TimeoutError:
        reason = "no answer in time"
    except (OSError, RuntimeError, UnicodeError) as error:
        reason = str(error)
    raise OperationalError(f'could not translate host name "{host}" to address: {reason}')


def _start(host: str, look_up: "Future[list[str]]") -> None:
    try:
        # Not an executor: at its end, the process would wait for a name server that hangs.
        _thread.start_new_thread(_look_up, (host, look_up))
    except RuntimeError as error:  # there is no room for another thread
        del _under_way[host]
        look_up.set_exception(error)


def _look_up(host: str, look_up: "Future[list[str]]") -> None:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        look_up.set_result(list(dict.fromkeys(str(address[0]) for *_, address in found)))
    except Exception as error:  # noqa: BLE001 - raised where the result is asked for
        look_up.set_exception(error)
    finally:
        del _under_way[host]
