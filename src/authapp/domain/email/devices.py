"""The device of a request, in words of our own.

A client can send any text as its ``User-Agent``, such as a sentence with a link. So a mail names a device only if it is
one of these, and quotes nothing.
"""

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


def device_name(user_agent: str | None) -> str | None:
    """Return the browser and the system of a user agent, such as ``Firefox on Linux``; ``None`` if both are unknown."""
    found = [
        next((name for mark, name in names.items() if mark in (user_agent or "")), None)
        for names in (_BROWSERS, _SYSTEMS)
    ]
    return " on ".join(filter(None, found)) or None
