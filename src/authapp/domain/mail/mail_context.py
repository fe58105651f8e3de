"""What a mail knows of the request that caused it: where that came from, from which device, and in which language."""

from dataclasses import replace
from typing import Any

from authapp import tracing
from authapp.context import RequestContext
from authapp.models import OutgoingMail

# A client can send any text as its User-Agent, such as a sentence with a link: a mail names one of these, or none.
_BROWSERS = {
    # Most call themselves by the names of those below them as well.
    "Edg/": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "CriOS/": "Chrome",
    "Chrome/": "Chrome",
    "Safari/": "Safari",
    "curl/": "curl",
}
_SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Macintosh": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}


def mail_context(context: RequestContext) -> dict[str, Any]:
    """Return what a mail is to know of the request that caused it."""
    parent = tracing.traceparent()
    return {
        **({"traceparent": parent} if parent else {}),
        "request_id": context.request_id,
        "ip_address": context.ip_address,
        "device": device_name(context.user_agent),
        "locale": context.locale,
    }


def sender_context(mail: OutgoingMail, context: RequestContext) -> RequestContext:
    """Return the context of the sender with the request that caused the mail."""
    cause = mail.context
    return replace(context, request_id=cause.get("request_id"), ip_address=cause.get("ip_address"), user_agent=None)


def device_name(user_agent: str | None) -> str | None:
    """Return the browser and the system of a user agent, such as ``Firefox on Linux``; ``None`` if both are unknown."""
    found = [
        next((name for mark, name in names.items() if mark in (user_agent or "")), None)
        for names in (_BROWSERS, _SYSTEMS)
    ]
    return " on ".join(filter(None, found)) or None
