"""Which passwords are accepted (NIST SP 800-63B-4, section 3.1.1.2; ASVS 5.0, 6.2)."""

from collections.abc import Iterator
from importlib.resources import files

MIN_LENGTH = 8
MAX_LENGTH = 128
SHORTEST_NAME = 3

COMMON_PASSWORDS = frozenset(
    (files("authapp.security") / "data" / "common-passwords.txt").read_text("utf-8").splitlines()
)
"""The most common passwords, in lower case; ``data/README.md`` names the sources."""


def objections(password: str, *, username: str, email: str) -> Iterator[str]:
    """Yield a sentence for each reason to refuse ``password``.

    The length is counted in code points. The password is taken exactly as it was typed (ASVS 6.2.8); letter case is
    ignored only when it is looked for in the list and for the names.
    """
    if len(password) < MIN_LENGTH:
        yield f"It has fewer than {MIN_LENGTH} characters."
    if len(password) > MAX_LENGTH:
        yield f"It has more than {MAX_LENGTH} characters."
    if "\0" in password:
        yield "It contains a NUL character, which no JSON client could send."
    folded = password.casefold()
    if folded in COMMON_PASSWORDS:
        yield "It is one of the most common passwords."
    if _contains(folded, username):
        yield "It contains the username."
    if _contains(folded, email.rpartition("@")[0]):
        yield "It contains the name in the email address."


def _contains(folded: str, name: str) -> bool:
    # A name of one or two letters is in so many good passwords that the rule would guard nothing.
    return len(name) >= SHORTEST_NAME and name.casefold() in folded
