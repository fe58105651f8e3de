"""Values that gunicorn computes again for each request although they do not change, computed once.

The percentages are of the CPU time that a worker takes for ``GET /ping``, some 420 us. Names of gunicorn 27.0 that this
file depends on, and that no document promises (tests/serving/test_gunicorn_names.py):

- ``gunicorn.util.http_date(timestamp=None)``, replaced
- ``gunicorn.http.wsgi.base_environ(cfg)``, replaced
- ``gunicorn.http.message._ip_in_allow_list(ip_str, allow_list, networks)``, replaced
- ``gunicorn.config.Config``: ``settings``, and ``__getattr__``, which runs only for names that are not attributes
"""

import functools
import time
from collections.abc import Callable
from typing import Any

import gunicorn.http.message
import gunicorn.http.wsgi
import gunicorn.util


def install(cfg: Any) -> None:
    """Replace the functions in this process, and make each setting of ``cfg`` an attribute; call it once a worker."""
    gunicorn.util.http_date = date_of_second(gunicorn.util.http_date)
    gunicorn.http.wsgi.base_environ = copy_of_first(gunicorn.http.wsgi.base_environ)
    gunicorn.http.message._ip_in_allow_list = allow_list_check(gunicorn.http.message._ip_in_allow_list)  # noqa: SLF001
    # Buys 4 %: a worker's settings never change, and gunicorn looks them up twenty times a request.
    vars(cfg).update((name, setting.get()) for name, setting in cfg.settings.items())


def date_of_second(http_date: Callable[[float], str]) -> Callable[..., str]:
    """Return ``http_date``, formatting each second once; the ``Date`` of RFC 9110, section 6.6.1. Buys 3 %."""
    cached = functools.lru_cache(maxsize=2)(http_date)

    def date(timestamp: float | None = None) -> str:
        return cached(int(time.time() if timestamp is None else timestamp))

    return date


def copy_of_first(base_environ: Callable[[Any], dict[str, Any]]) -> Callable[[Any], dict[str, Any]]:
    """Return ``base_environ``, the part of the WSGI environ that every request has, made once a ``cfg``. Buys 4 %."""
    cached = functools.lru_cache(maxsize=1)(base_environ)

    def environ(cfg: Any) -> dict[str, Any]:
        return cached(cfg).copy()

    return environ


def allow_list_check(check: Callable[..., bool]) -> Callable[..., bool]:
    """Return ``check`` (is the peer a trusted proxy?), parsing no address when none is trusted. Buys 2 to 4 %."""

    def is_allowed(address: str, allowed: list[str], networks: list[Any]) -> bool:
        return bool(networks or allowed) and check(address, allowed, networks)

    return is_allowed
