"""The settings of browsers: the origins whose pages may use the API, and the refresh token in a cookie."""

from collections.abc import Mapping
from typing import Any

from authapp.config.parsers import origin_list, web_origin


def cors_origins(value: str) -> tuple[str, ...]:
    """Return the origins of an ``AUTHAPP_CORS_ORIGINS``, separated by blanks or commas. Raises ``ValueError``."""
    return origin_list(value, web_origin)


def problems_of_browsers(values: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each problem of these settings with the others, of which there are none in development."""
    problems: list[str] = []
    if values["env"] != "production":
        return problems
    if any(origin.startswith("http://") for origin in values["cors_origins"] or ()):
        # Whoever is on the network in between can answer in place of such a page.
        problems.append("AUTHAPP_CORS_ORIGINS must be https origins in production.")
    if values["refresh_cookie"] == "on" and (values["issuer"] or "").startswith("http://"):
        problems.append("AUTHAPP_REFRESH_COOKIE=on needs an https AUTHAPP_ISSUER: browsers keep this cookie for https.")
    return problems
