"""Reading the environment variables, and collecting all problems in them."""

import difflib
import itertools
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import limits
from environs import Env, FileAwareEnv
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from authapp.config.rate_limit_storages import client_timeouts
from authapp.config.rate_limits import RateLimit
from authapp.database.connect import problem_of_options
from authapp.registry import Registry
from authapp.shared_names import DEFAULT_PORT, DEFAULT_WORKERS

DRIVER = "postgresql+psycopg2"

PREFIX = "AUTHAPP_"

_NOT_FROM_FILES = {
    "AUTHAPP_LOG_HEALTH_PROBES",
    "AUTHAPP_LOG_LEVEL",
    "AUTHAPP_METRICS",
    "AUTHAPP_METRICS_BIND",
    "GUNICORN_CMD_ARGS",
    "PORT",
    "WEB_CONCURRENCY",
}
"""gunicorn reads these itself, and knows nothing of ``_FILE``."""

_OF_KUBERNETES = r"_SERVICE_(HOST|PORT(_\w+)?)|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?"
"""The ends of the variables that Kubernetes sets in every pod for a service, such as one named ``authapp``."""

_MAX_REQUESTS = 1_000_000
_MAX_WINDOW = 86_400

KeyChecker = Callable[[str], Sequence[str]]
"""Takes a JWK Set as JSON, and returns one sentence for each problem in it."""

Default = Callable[[], str | float | None]
"""Returns the value to use for a variable that is not set."""


class EnvironmentReader:
    """Reads variables, and collects their problems in ``problems`` instead of stopping at the first.

    The methods take the name of a setting in lower case, and return its value; after a problem, ``None``.
    """

    def __init__(self, check_keys: KeyChecker) -> None:
        self.problems: list[str] = []
        self.development: Mapping[str, Default] | None = None
        """In development, the defaults of required settings. ``None`` in production, where they have none."""
        self._check_keys = check_keys
        self._files, self._values = FileAwareEnv(strip_whitespace=True), Env()
        self._names: set[str] = set()

    def text(self, name: str, default: Any, parse: Callable[[str], Any]) -> Any:
        """Read a variable with ``parse``, which raises ``ValueError`` with the end of a sentence about it.

        In development, a default of ``Settings.from_env`` comes before ``default``, and is parsed as well.
        """
        count = len(self.problems)
        value = self._read(_variable(name), lambda: None, parse)
        if value is None and len(self.problems) == count and (text := self._development(name)()) is not None:
            value = parse(str(text))
        return default if value is None else value

    def choice(self, name: str, default: str, allowed: list[str]) -> Any:
        """Read a variable that must be one of the words in ``allowed``."""

        def parse(text: str) -> str:
            if text not in allowed:
                raise ValueError(f"must be one of: {', '.join(allowed)}.")
            return text

        return self._read(_variable(name), lambda: default, parse)

    def integer(self, name: str, default: int, least: int, most: int) -> Any:
        """Read a whole number from ``least`` to ``most``."""
        return self._number(_variable(name), int, default, least, most)

    def number(self, name: str, default: float, least: float, most: float) -> Any:
        """Read a number from ``least`` to ``most``."""
        return self._number(_variable(name), float, default, least, most)

    def argon2_cost(self, name: str, floor: int) -> Any:
        """Read a cost of argon2id: at least ``floor``, which is also the default. In development it may be lower."""
        return self.integer(name, floor, floor if self.development is None else 1, 2_097_152)

    def share_of_cores(self, name: str, _default: int) -> Any:
        """Read a number of threads. The default is this worker's share of the cores, at most 4."""
        share = (os.cpu_count() or 1) // (self._workers() or DEFAULT_WORKERS)
        return self.integer(name, max(1, min(4, share)), 1, 64)

    def rates(self, _name: str, registry: Registry[RateLimit | None]) -> Any:
        """Read every registered rate limit."""
        return {name: self.rate(f"rate_limit_{name}", default) for name, default in registry.items()}

    def rate(self, name: str, default: RateLimit | None) -> Any:
        """Read a limit such as ``120/minute``, or ``off``."""
        value = self._read(_variable(name), lambda: None)
        if value is None:
            return default
        if value == "off":
            return None
        rate = _rate(value)
        if rate is None:
            self.problems.append(f"{_variable(name)} must be a limit such as 120/minute or 10 per 30 seconds, or off.")
        return rate

    def storage(self, name: str, default: str) -> Any:
        """Read the address of a storage for Flask-Limiter; empty means that there is none."""

        def parse(text: str) -> str:
            client_timeouts(text)
            return text

        return self._read(_variable(name), lambda: default, parse)

    def required(self, name: str, development: str) -> Any:
        """Read text that is required in production; in development the default is ``development``."""
        return self._required(_variable(name), lambda: None if self.development is None else development, "")

    def issuer(self, name: str, development: str) -> Any:
        """Read the issuer. In development the default has the port of ``PORT``."""
        value = self.required(name, development.replace(str(DEFAULT_PORT), str(self.port())))
        if value is not None and not _is_issuer(value):
            self.problems.append("AUTHAPP_ISSUER must be an http(s) address without query or fragment (RFC 8414).")
        return value

    def database_url(self, name: str) -> Any:
        """Read the address of the database from ``AUTHAPP_DATABASE_URL`` or ``DATABASE_URL``."""
        hint = " Set it to postgresql://user:password@host/database (in development, `make run` starts a database)."
        count, variable = len(self.problems), _variable(name)
        value = self._read(variable, lambda: None)
        if value is None and len(self.problems) == count:
            variable = "DATABASE_URL"
            value = self._required(variable, self._development(name), hint)
        if value is None:
            return None
        try:
            return normalised_database_url(value)
        except ValueError as error:
            self.problems.append(f"{variable} {error}")
            return None

    def keys(self, name: str) -> Any:
        """Read the JWK Set and check it."""
        hint = " `flask keys generate` prints a JWK Set; AUTHAPP_JWT_KEYS_FILE may name a file of it."
        value = self._required(_variable(name), self._development(name), hint)
        if value is not None:
            self.problems.extend(f"AUTHAPP_JWT_KEYS {problem}" for problem in self._check_keys(value))
        return value

    def check_server_variables(self) -> None:
        """Add a problem for each variable of gunicorn and ``make run`` that cannot be used."""
        self._workers()
        self.port()
        self._read("GUNICORN_CMD_ARGS", lambda: None, _words)

    def port(self) -> int:
        """Return the port of ``make run``; the default, if ``PORT`` cannot be used."""
        return self._number("PORT", int, DEFAULT_PORT, 1, 65_535) or DEFAULT_PORT

    def report_unknown(self) -> None:
        """Add a problem for each variable that is named like a setting and is none. Call this after all are read."""
        for name, value in sorted(os.environ.items()):
            if name.upper().startswith(PREFIX) and name not in self._names and not _is_of_kubernetes(name, value):
                nearest = difflib.get_close_matches(name.upper(), sorted(self._names), 1, 0.75)
                self.problems.append(f"{name} is not a setting.{f' Do you mean {nearest[0]}?' if nearest else ''}")

    def _workers(self) -> Any:
        return self._number("WEB_CONCURRENCY", int, DEFAULT_WORKERS, 1, 1000)

    def _development(self, name: str) -> Default:
        return (self.development or {}).get(name, lambda: None)

    def _number(self, name: str, kind: type[int] | type[float], default: float, least: float, most: float) -> Any:
        def parse(text: str) -> float:
            try:
                value = _whole_number(text) if kind is int else float(text)
            except ValueError:
                word = "a whole number" if kind is int else "a number"
                raise ValueError(f"must be {word} from {least} to {most}.") from None
            if not least <= value <= most:
                raise ValueError(f"must be from {least} to {most}.")
            return value

        return self._read(name, lambda: default, parse)

    def _required(self, name: str, default: Default, hint: str) -> Any:
        count = len(self.problems)
        value = self._read(name, default)
        if value is None and len(self.problems) == count:
            self.problems.append(f"{name} is missing.{hint}")
        return value

    def _read(self, name: str, default: Default, parse: Callable[[str], Any] = str) -> Any:
        """Return the variable as ``parse`` reads it, the default if it is not set or empty, ``None`` after a problem.

        ``parse`` raises ``ValueError`` with the end of a sentence that begins with the name.
        """
        from_file = name not in _NOT_FROM_FILES
        self._names.update([name, f"{name}_FILE"] if from_file else [name])
        try:
            text = (self._files if from_file else self._values).str(name, "").strip()
        except UnicodeDecodeError:
            self.problems.append(f"The file that {name}_FILE names must hold UTF-8.")
            return None
        except (OSError, ValueError):
            # The error's own message is not shown: it quotes the path, which may be a secret that was put here by
            # mistake.
            self.problems.append(f"{name}_FILE must name a file that can be read.")
            return None
        if not _is_utf_8(text):
            self.problems.append(f"{name} must be text in UTF-8.")
            return None
        if not text:
            return default()
        try:
            return parse(text)
        except ValueError as error:
            self.problems.append(f"{name} {error}")
            return None

    def require_share(self, values: dict[str, Any], less: str, more: str, shares: int) -> None:
        """Add a problem if the setting ``less`` is greater than ``more`` divided by ``shares``; 1 is never too many."""
        if None not in {values[less], values[more]} and values[less] > max(1, values[more] // shares):
            self.problems.append(f"{_variable(less)} must not be more than {_variable(more)} divided by {shares}.")

    def require_order(self, values: dict[str, Any], *names: str) -> None:
        """Add a problem for each of the named settings that is greater than the next one."""
        for less, more in itertools.pairwise(names):
            if None not in {values[less], values[more]} and values[less] > values[more]:
                self.problems.append(f"{_variable(less)} must not be more than {_variable(more)}.")

    def require_value(self, values: dict[str, Any], name: str, why: str, *, where: bool) -> None:
        """Add a problem if ``where`` holds and the named setting has no value, unless it has a problem already."""
        if where and values[name] is None and not any(problem.startswith(_variable(name)) for problem in self.problems):
            self.problems.append(f"{_variable(name)} is missing: {why}")


def _variable(name: str) -> str:
    return f"{PREFIX}{name.upper()}"


def _whole_number(text: str) -> int:
    # To Python, "+8000" and "8_000" are numbers, too: ``serving/settings.py`` and ``make run`` would not read them.
    if not text.removeprefix("-").isdecimal():
        raise ValueError
    return int(text)


def _words(text: str) -> Sequence[str]:
    try:
        return shlex.split(text)
    except ValueError:
        raise ValueError("must be options as a shell takes them: a quote is not closed.") from None


def _is_of_kubernetes(name: str, value: str) -> bool:
    # ``AUTHAPP_PORT`` is one of them as well, but only if it is an address: with a number, somebody means PORT.
    address = name.endswith("_PORT") and re.match(r"(tcp|udp|sctp)://", value)
    return bool(address or re.search(f"(?:{_OF_KUBERNETES})$", name))


def _rate(value: str) -> RateLimit | None:
    try:
        item = limits.parse(value)
    except ValueError:
        return None
    # A limit over a day or a million requests is a typing error, and computing with it could overflow a timestamp.
    if not (1 <= item.amount <= _MAX_REQUESTS and 1 <= item.get_expiry() <= _MAX_WINDOW):
        return None
    return RateLimit(item.amount, item.get_expiry())


def _is_utf_8(value: str) -> bool:
    # Python decodes bytes in the environment that are not UTF-8 to lone surrogates.
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_issuer(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc) and not re.search(r"[?#\s<>]|%3[CcEe]", value)


def normalised_database_url(value: str) -> str:
    """Return ``value`` with an explicit driver, psycopg2.

    SQLAlchemy 2.1 uses psycopg 3 for a bare ``postgresql://``, and hosting platforms still provide ``postgres://``.

    Raises ``ValueError`` for anything but PostgreSQL, and for options that cannot be used.
    """
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        # The error's own message is not shown: it may quote the password, which looks like a port if it is not escaped.
        raise ValueError("is not a database address: postgresql://user:password@host/database, escaped.") from None
    if url.drivername not in {"postgres", "postgresql", DRIVER}:
        raise ValueError(f"must be a postgresql:// address, not {url.drivername}://.")
    if problem := problem_of_options(url):
        raise ValueError(problem)
    return url.set(drivername=DRIVER).render_as_string(hide_password=False)
