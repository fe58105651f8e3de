"""What an account can be logged in to with. The last way in is not removed, or its owner would be locked out."""

from collections.abc import Callable

from authapp.errors import LastWayIn
from authapp.models import User
from authapp.registry import Registry

CountWaysIn = Callable[[User], int]
"""Takes a locked account, and returns how many ways of a kind there are to log in to it."""

ways_in: Registry[CountWaysIn] = Registry("way to log in", r"[a-z][a-z_]{0,39}", "use the name of a factor.")
"""Each kind of credential that starts a session by itself. Second factors are none, and neither are recovery codes."""

ways_in.register("password", lambda user: int(user.password_hash is not None))


def require_another_way_in(user: User) -> None:
    """Raise ``LastWayIn`` if a locked account has one way in. Call it before removing one."""
    if sum(count(user) for count in ways_in.values()) <= 1:
        raise LastWayIn
