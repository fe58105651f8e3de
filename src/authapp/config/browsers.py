"""The settings of browsers: the origins whose pages may use the API, and the refresh token in a cookie."""

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from authapp.config.parsers import is_host

_DEFAULT_PORTS = {"http": 80, "https": 443}


def cors_origins(value: str) -> tuple[str, ...]:
    """Return the origins of an ``AUTHAPP_CORS_ORIGINS``, separated by blanks or commas. Raises ``ValueError``."""
    return origin_list(value, web_origin)


def problems_of_browsers(values: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each problem of these settings with the others, of which there are none in development."""
    problems: list[str] = []
    if values["env"] != "production":
        return problems
    if any(origin.startswith("http://") for origin in values["cors_origins"] or ()):
        # Anybody on the network in between can answer in place of such a page.
        problems.append("AUTHAPP_CORS_ORIGINS must be https origins in production.")
    if values["refresh_cookie"] == "on" and (values["issuer"] or "").startswith("http://"):
        problems.append("AUTHAPP_REFRESH_COOKIE=on needs an https AUTHAPP_ISSUER: browsers keep this cookie for https.")
    return problems


def origin_list(text: str, parse: Callable[[str], str]) -> tuple[str, ...]:
    """Return each origin of a list with blanks or commas between them, as ``parse`` reads it. Raises ``ValueError``."""
    found = tuple(dict.fromkeys(parse(each) for each in re.split(r"[\s,]+", text) if each))
    if not found:
        raise ValueError("must be origins such as https://app.example.com, separated by blanks.")
    return found


def web_origin(text: str) -> str:
    """Return an origin as browsers write it: in lower case, without a default port (RFC 6454, section 6.2).

    Raises ``ValueError``, also for a host that browsers would write differently.
    """
    try:
        url = urlsplit(text)
        origin = origin_of(url)
    except ValueError:
        raise ValueError("must be origins such as https://app.example.com, without a path.") from None
    host = url.hostname or ""
    if text.lower().removesuffix(f":{url.port}") != origin.removesuffix(f":{url.port}"):
        raise ValueError("must be origins such as https://app.example.com, without a path.")
    if url.scheme not in _DEFAULT_PORTS or not is_host(host):
        raise ValueError("must be origins of http or https, with hosts in ASCII.")
    return origin


def origin_of(url: SplitResult) -> str:
    """Return the origin of ``url`` as browsers write it. Raises ``ValueError`` for a port that is none."""
    host = url.hostname or ""
    port = "" if url.port in {None, _DEFAULT_PORTS.get(url.scheme)} else f":{url.port}"
    return f"{url.scheme}://{f'[{ip_address(host).compressed}]' if ':' in host else host}{port}"
