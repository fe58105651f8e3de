"""The settings of providers: who they are, and what this service is to them (OpenID Connect Core 1.0)."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from authapp.config.parsers import is_https_or_local

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Which an ID token may be signed with. HMAC is not: its key is a client secret, which is no key."""

DEFAULT_ALGORITHMS = ("RS256", "ES256")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_OF_APP = re.compile(r"[A-Za-z][A-Za-z0-9+-]*(\.[A-Za-z0-9+-]+)+:[!-~]*")
"""An app's own scheme is a domain in reverse, and so has a dot (RFC 8252, section 7.1)."""

_MEMBERS = {"issuer", "client_id", "client_secret_file", "client_secret_expires", "kind", "scopes", "trust_email"}
_MEMBERS |= {"algorithms"}


@dataclass(frozen=True, kw_only=True)
class ProviderSettings:
    """One provider, and this service as its client.

    ``kind`` is the name of an adapter; without ``scopes``, it asks for its own. ``trust_email`` is whether an address
    that the provider calls verified starts verified here. ``secret_expires`` is the day when the client secret expires,
    if that is known.
    """

    name: str
    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    secret_expires: date | None = None
    kind: str = "openid"
    scopes: tuple[str, ...] = ()
    trust_email: bool = False
    algorithms: tuple[str, ...] = DEFAULT_ALGORITHMS


def providers(text: str) -> Mapping[str, ProviderSettings]:
    """Return the providers in an ``AUTHAPP_PROVIDERS``, by their names. Raises ``ValueError``."""
    try:
        value = json.loads(text, object_pairs_hook=_object)
    except (RecursionError, ValueError):
        raise ValueError("must be a JSON object, without a name twice.") from None
    if not isinstance(value, dict) or not value:
        raise ValueError('must be a JSON object such as {"google": {"issuer": …, "client_id": …}}.')
    found = {name: _provider(name, members) for name, members in value.items()}
    if len({provider.issuer for provider in found.values()}) != len(found):
        raise ValueError("must not have one issuer twice: an identity is an issuer and a subject.")
    return found


def redirect_uris(text: str) -> tuple[str, ...]:
    """Return the addresses in an ``AUTHAPP_REDIRECT_URIS``, separated by blanks. Raises ``ValueError``."""
    found = tuple(dict.fromkeys(text.split()))
    for each in found:
        if "#" in each or not (is_https_or_local(each) or _OF_APP.fullmatch(each)):
            raise ValueError("must be https addresses, http ones of this machine, or those of an app; no fragments.")
    return found


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _provider(name: str, members: Any) -> ProviderSettings:
    if not _NAME.fullmatch(name):
        raise ValueError("must name providers with 1 to 32 of a-z, 0-9 and -, starting with a letter.")
    unknown = members.keys() - _MEMBERS if isinstance(members, dict) else {"an object is needed"}
    if unknown:
        raise ValueError(f"has what it should not have at {name}: {', '.join(sorted(unknown))}.")
    issuer, client_id = members.get("issuer"), members.get("client_id")
    if not (isinstance(issuer, str) and is_https_or_local(issuer) and not re.search(r"[?#\s]", issuer)):
        raise ValueError(f"needs an https issuer without query and fragment at {name}.")
    if not (isinstance(client_id, str) and client_id):
        raise ValueError(f"needs a client_id at {name}.")
    if not isinstance(members.get("trust_email", False), bool):
        raise ValueError(f"needs true or false as trust_email at {name}.")  # noqa: TRY004 - it is the fault of a setting
    kind = _words(name, "kind", [members.get("kind", "openid")])[0]
    scopes = _words(name, "scopes", members["scopes"]) if "scopes" in members else ()
    if kind == "openid" and scopes and "openid" not in scopes:
        # Without it, there are no ID tokens (OpenID Connect Core 1.0, section 3.1.2.1).
        raise ValueError(f"needs openid among the scopes at {name}.")
    return ProviderSettings(
        name=name,
        issuer=issuer,
        client_id=client_id,
        client_secret=_secret(name, members.get("client_secret_file")),
        secret_expires=_day(name, members.get("client_secret_expires")),
        kind=kind,
        scopes=scopes,
        trust_email=members.get("trust_email", False),
        algorithms=_algorithms(name, members.get("algorithms", list(DEFAULT_ALGORITHMS))),
    )


def _secret(name: str, path: Any) -> str | None:
    if path is None:
        return None
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, TypeError, ValueError):
        secret = ""
    if not secret:
        # Without the path, which may be a secret that was put there by mistake.
        raise ValueError(f"needs a client_secret_file that can be read at {name}.")
    return secret


def _day(name: str, text: Any) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except (TypeError, ValueError):
        raise ValueError(f"needs a day such as 2027-01-31 as client_secret_expires at {name}.") from None


def _words(name: str, member: str, words: Any) -> tuple[str, ...]:
    valid = isinstance(words, list) and all(isinstance(word, str) and re.fullmatch(r"[!-~]+", word) for word in words)
    if not valid or not words:
        raise ValueError(f"needs words as {member} at {name}.")
    return tuple(words)


def _algorithms(name: str, words: Any) -> tuple[str, ...]:
    found = _words(name, "algorithms", words)
    if not set(found) <= set(ALGORITHMS):
        raise ValueError(f"needs algorithms out of {', '.join(ALGORITHMS)} at {name}.")
    return found
