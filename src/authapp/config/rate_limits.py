"""The registry of rate limits by client address, or by API key. An application can add its own."""

from dataclasses import dataclass

from authapp.registry import Registry


@dataclass(frozen=True)
class RateLimit:
    """``amount`` requests per ``seconds`` seconds."""

    amount: int
    seconds: int


rate_limits: Registry[RateLimit | None] = Registry(
    "rate limit",
    r"[a-z][a-z_]{0,39}",
    "use 1 to 40 of a-z and _.",
    reserved=frozenset({"default", "storage"}),
)
"""The default of each limit, by name. ``AUTHAPP_RATE_LIMIT_<NAME>`` changes it; ``off`` turns it off.

Register your own limits before ``create_app()``, and apply one to a view with ``@limited("name")``.
"""

LOGIN = rate_limits.register("login", RateLimit(120, 60))
REGISTER = rate_limits.register("register", RateLimit(60, 60))
REFRESH = rate_limits.register("refresh", RateLimit(600, 60))
PASSWORD = rate_limits.register("password", RateLimit(60, 60))
API_KEY = rate_limits.register("api_key", None)
EXPORT = rate_limits.register("export", RateLimit(5, 86_400))
MAIL = rate_limits.register("mail", RateLimit(30, 3600))
