"""The limits on what one client address may ask for, by name: an open list."""

from dataclasses import dataclass

from authapp.registry import Registry


@dataclass(frozen=True)
class RateLimit:
    """``amount`` requests in ``seconds`` seconds."""

    amount: int
    seconds: int


rate_limits: Registry[RateLimit | None] = Registry(
    "rate limit",
    r"(?!default$|storage$)[a-z][a-z_]{0,39}",
    "use 1 to 40 of a-z and _, and neither default nor storage.",
)
"""Each with its default; ``AUTHAPP_RATE_LIMIT_<NAME>`` changes it, and ``off`` turns it off.

Register yours before ``create_app()``, and count requests with ``@limited("name")``.
"""

LOGIN = rate_limits.register("login", RateLimit(120, 60))
REGISTER = rate_limits.register("register", RateLimit(60, 60))
REFRESH = rate_limits.register("refresh", RateLimit(600, 60))
PASSWORD = rate_limits.register("password", RateLimit(60, 60))
