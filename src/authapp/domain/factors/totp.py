"""TOTP (RFC 6238): one-time passwords of 6 digits by HMAC-SHA-1, a new one every 30 seconds. Pure functions.

These are the parameters that every authenticator app knows; many ignore others that a URI asks for.
"""

import hmac
import re
from base64 import b32encode
from datetime import datetime
from io import BytesIO
from secrets import token_bytes
from urllib.parse import quote, urlencode

import segno

DIGITS = 6
PERIOD = 30
"""The length of a time step in seconds."""

DRIFT = 1
"""How many steps before and after the current one are accepted (RFC 6238, section 5.2)."""

SECRET_BYTES = 20
"""As long as the hash (RFC 4226, section 4, R6)."""

QR_TITLE = "QR code for an authenticator app"


def new_secret() -> bytes:
    """Return a random secret of 160 bits."""
    return token_bytes(SECRET_BYTES)


def without_blanks(code: str) -> str:
    """Return a code without the blanks that people type in it, as apps show them."""
    return "".join(code.split())


def step_at(time: datetime) -> int:
    """Return the number of the time step at ``time``."""
    return int(time.timestamp()) // PERIOD


def code_at(secret: bytes, step: int) -> str:
    """Return the code of a time step (RFC 4226, section 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    start = digest[-1] & 0x0F
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def matching_step(secret: bytes, code: str, now: datetime) -> int | None:
    """Return the time step whose code this is, among the current one and ``DRIFT`` on either side, or ``None``.

    All candidates are computed and compared, in a time that does not depend on which of them matches. If two steps have
    the same code, the later one is returned: the code would otherwise be good once more.
    """
    if not re.fullmatch(rf"[0-9]{{{DIGITS}}}", code):
        return None
    current = step_at(now)
    steps = range(current - DRIFT, current + DRIFT + 1)
    matching = [step for step in steps if hmac.compare_digest(code_at(secret, step), code)]
    return matching[-1] if matching else None


def secret_text(secret: bytes) -> str:
    """Return a secret as people type it: base32 without padding (RFC 4648)."""
    return b32encode(secret).rstrip(b"=").decode()


def otpauth_uri(secret: bytes, issuer: str, username: str) -> str:
    """Return the URI that an authenticator app reads, with the issuer in the label and as a parameter.

    Apps that know one of the two forms alone find it. A colon divides the label, so the issuer must not have one: it is
    left out.
    """
    name = issuer.replace(":", "")
    qualified_name = f"{quote(name, safe='')}:{quote(username, safe='')}"
    parameters = {
        "secret": secret_text(secret),
        "issuer": name,
        "algorithm": "SHA1",
        "digits": DIGITS,
        "period": PERIOD,
    }
    return f"otpauth://totp/{qualified_name}?{urlencode(parameters, quote_via=quote, safe='')}"


def qr_svg(uri: str) -> str:
    """Return the QR code of ``uri`` as an ``<svg>`` element, black on white, without a size of its own.

    It can stand in an HTML page as it is, and in a ``data:`` address: it has the namespace, and neither script nor
    style.
    """
    image = BytesIO()
    options = {"xmldecl": False, "svgclass": None, "lineclass": None, "omitsize": True, "nl": False}
    segno.make_qr(uri, error="m").save(image, kind="svg", light="white", title=QR_TITLE, **options)
    return image.getvalue().decode()
