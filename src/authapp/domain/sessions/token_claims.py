"""The registry of extra claims in access tokens, for data that other services want to read from a token."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from authapp.registry import Registry
from authapp.security import strict_json

MAX_BYTES = 1_024
"""The maximum size of all extra claims of a token as JSON, because a token is sent with every request."""

ClaimSource = Callable[[UUID, UUID], Any]
"""Takes the ids of the user and the session, and returns a JSON value, or ``None`` to omit the claim.

For a token that is issued for an API key, the second is the id of the key.
"""

token_claims: Registry[ClaimSource] = Registry(
    "token claim",
    r"[A-Za-z][A-Za-z0-9_.+-]{0,30}:[!-~]{1,200}",
    "use a URL of yours, or a prefix and a colon: notes:plan.",
)
"""The source of each claim, by name. Names need a colon, so that they never collide with authapp's or RFC claims."""


def extra_claims(user_id: UUID, session_id: UUID) -> dict[str, Any]:
    """Return the extra claims for one access token.

    Raises ``ValueError`` if they are not JSON that this service reads itself, or larger than ``MAX_BYTES``, and
    whatever a source raises. Then no token is issued, because the missing claim may be one that restricts its holder.
    """
    values = ((name, source(user_id, session_id)) for name, source in token_claims.items())
    claims = {name: value for name, value in values if value is not None}
    if not claims:
        return claims
    try:
        text = json.dumps(claims, allow_nan=False)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"An extra token claim is not JSON: {error}.") from None
    if len(text) > MAX_BYTES:
        raise ValueError(f"The extra token claims take {len(text)} bytes as JSON; at most {MAX_BYTES} are allowed.")
    # Tokens are read by this parser. What it refuses, such as NUL, would make a token that is never accepted.
    strict_json.loads_object(text.encode())
    return claims
