"""The registry of checks for new passwords (NIST SP 800-63B-4, section 3.1.1.2; ASVS 5.0, 6.2)."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files

from authapp.registry import Registry

MIN_LENGTH = 8
MAX_LENGTH = 128
MIN_NAME_LENGTH = 3

COMMON_PASSWORDS = frozenset(
    (files("authapp.security") / "data" / "common-passwords.txt").read_text("utf-8").splitlines()
)
"""The most common passwords, in lower case; ``security/data/README.md`` names the sources."""


@dataclass(frozen=True)
class NewPassword:
    """A new password to check, and the names of the account that it is for."""

    password: str
    username: str
    email: str


PasswordCheck = Callable[[NewPassword], Iterable[str]]
"""Returns one sentence for each reason to refuse the password."""

password_checks: Registry[PasswordCheck] = Registry(
    "password check", r"[a-z][a-z0-9_-]{0,39}", "use 1 to 40 of a-z, 0-9, _ and -."
)
"""``PasswordPolicy`` runs all checks at registration and when a password is set; they do not run at login."""


def check_length(wanted: NewPassword) -> Iterator[str]:
    """Refuse passwords that are too short or too long, in code points. Nothing is trimmed (ASVS 6.2.8)."""
    if len(wanted.password) < MIN_LENGTH:
        yield f"It has fewer than {MIN_LENGTH} characters."
    if len(wanted.password) > MAX_LENGTH:
        yield f"It has more than {MAX_LENGTH} characters."
    if "\0" in wanted.password:
        yield "It contains a NUL character, which no JSON client could send."


def check_common(wanted: NewPassword) -> Iterator[str]:
    """Refuse the most common passwords; case is ignored."""
    if wanted.password.casefold() in COMMON_PASSWORDS:
        yield "It is one of the most common passwords."


def check_names(wanted: NewPassword) -> Iterator[str]:
    """Refuse passwords that contain the username or the name in the email address; case is ignored."""
    if _contains(wanted.password, wanted.username):
        yield "It contains the username."
    if _contains(wanted.password, wanted.email.rpartition("@")[0]):
        yield "It contains the name in the email address."


def _contains(password: str, name: str) -> bool:
    # A name of one or two letters occurs in many good passwords by chance, so it is not checked.
    return len(name) >= MIN_NAME_LENGTH and name.casefold() in password.casefold()


password_checks.register("length", check_length)
password_checks.register("common", check_common)
password_checks.register("names", check_names)
