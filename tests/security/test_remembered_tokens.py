"""The memory of verified signatures: bounded, exact, and never the last word."""

import random
from datetime import timedelta
from uuid import uuid4

import jwt
import pytest
from jwt.exceptions import ExpiredSignatureError, PyJWTError

from authapp import clock
from authapp.errors import TokenExpired, TokenInvalid
from authapp.security import tokens
from authapp.security.keys import KeyRing
from authapp.security.tokens import Tokens
from security.forging import AUDIENCE, ISSUER, RULES, TOKENS, claims, forged, header, key_for

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def test_the_token_that_was_not_used_for_longest_goes_when_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "REMEMBERED", 2)
    reader = Tokens(KeyRing([key_for()]), RULES)
    first, *others = (forged(claims_=claims(jti=str(uuid4()))) for _ in range(3))
    for token in (first, others[0], first, others[1]):
        reader.read(token)
    info = reader._verified_once.cache_info()
    assert (info.hits, info.misses, info.currsize) == (1, 3, 2)
    reader.read(first)
    assert reader._verified_once.cache_info().hits == 2


def test_a_token_that_was_read_before_expires_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    token = forged()
    assert TOKENS.read(token) == TOKENS.read(token)
    later = clock.now() + timedelta(seconds=RULES.access_ttl + RULES.leeway + 1)
    monkeypatch.setattr(clock, "now", lambda: later)
    with pytest.raises(TokenExpired):
        TOKENS.read(token)


def test_what_is_done_to_the_claims_is_forgotten() -> None:
    token = forged()
    first = TOKENS.read(token)
    first["sub"] = "somebody else"
    first["amr"].append("otp")
    assert TOKENS.read(token)["sub"] != "somebody else"
    assert TOKENS.read(token)["amr"] == ["pwd"]


def test_what_was_refused_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    early = forged(claims_=claims(nbf=int(clock.now().timestamp()) + 60))
    with pytest.raises(TokenInvalid):
        TOKENS.read(early)
    later = clock.now() + timedelta(seconds=60)
    monkeypatch.setattr(clock, "now", lambda: later)
    TOKENS.read(early)


def judged_by_pyjwt(token: str) -> str:
    """Return what PyJWT says, told all that Flask-JWT-Extended and we would tell it."""
    try:
        jwt.decode(
            token,
            jwt.PyJWK(key_for().jwk).key.public_key(),
            algorithms=["ES256"],
            issuer=ISSUER,
            audience=AUDIENCE,
            leeway=RULES.leeway,
            options={"require": ["iss", "aud", "sub", "iat", "nbf", "exp", "jti"], "strict_aud": True},
        )
    except ExpiredSignatureError:
        return "expired"
    except (PyJWTError, ValueError):
        return "invalid"
    return "good"


def judged_by_us(reader: Tokens, token: str) -> str:
    try:
        reader.read(token)
    except TokenExpired:
        return "expired"
    except TokenInvalid:
        return "invalid"
    return "good"


def replaced(chance: random.Random, token: str) -> str:
    position = chance.randrange(len(token))
    return token[:position] + chance.choice(ALPHABET) + token[position + 1 :]


def shortened(chance: random.Random, token: str) -> str:
    position = chance.randrange(len(token))
    return token[:position] + token[position + chance.randrange(1, 4) :]


def lengthened(chance: random.Random, token: str) -> str:
    position = chance.randrange(len(token))
    return token[:position] + chance.choice(ALPHABET + "=.") + token[position:]


def without_a_claim(chance: random.Random, _: str) -> str:
    name = chance.choice(["iss", "aud", "sub", "iat", "nbf", "exp", "jti"])
    return forged(claims_={each: value for each, value in claims().items() if each != name})


def for_somebody_else(chance: random.Random, _: str) -> str:
    return forged(claims_=claims(**{chance.choice(["iss", "aud"]): chance.choice([None, "", "x", [], 5, True])}))


def of_another_time(chance: random.Random, _: str) -> str:
    # Not on the very second at which a verdict turns, which is another one for whoever is asked later.
    start = int(clock.now().timestamp()) + chance.choice([-2000, -950, -915, -890, -880, 0, 2, 20, 60, 4000])
    return forged(claims_=claims(iat=start, nbf=start, exp=start + RULES.access_ttl))


def not_yet(chance: random.Random, _: str) -> str:
    return forged(claims_=claims(nbf=int(clock.now().timestamp()) + chance.choice([-60, 0, 2, 20, 60])))


def of_another_algorithm(chance: random.Random, _: str) -> str:
    return forged(header(alg=chance.choice(["none", "HS256", "ES384", "ES256"])))


MUTATIONS = [
    replaced,
    shortened,
    lengthened,
    without_a_claim,
    for_somebody_else,
    of_another_time,
    not_yet,
    of_another_algorithm,
]


def mutations(count: int) -> list[str]:
    """Return tokens of which something is otherwise: a character, a claim, the time, the algorithm."""
    chance = random.Random(5)
    return [chance.choice(MUTATIONS)(chance, forged()) for _ in range(count)]


def test_thousands_of_mutated_tokens_are_judged_as_pyjwt_judges_them() -> None:
    """And each a second time, when its signature may be remembered: the answer is the same."""
    cold = Tokens(KeyRing([key_for()]), RULES)
    verdicts: dict[str, int] = {}
    for token in mutations(4000):
        ours, theirs = judged_by_us(cold, token), judged_by_pyjwt(token)
        if ours != theirs:
            # One token has one spelling; PyJWT overlooks padding, and bits that stand for nothing.
            assert (ours, theirs) == ("invalid", "good"), token
            assert not is_canonical(token), token
        assert judged_by_us(cold, token) == ours
        verdicts[ours] = verdicts.get(ours, 0) + 1
    assert min(verdicts["good"], verdicts["expired"], verdicts["invalid"]) > 100, verdicts


def is_canonical(token: str) -> bool:
    """Tell whether each segment is spelled as an encoder would."""
    return all(
        jwt.utils.base64url_encode(jwt.utils.base64url_decode(segment)).decode() == segment
        for segment in token.split(".")
    )
