"""What this project adds to accounts: a welcome, names and passwords that it refuses, a claim in access tokens."""

from authapp import db, errors, hooks, password_checks, token_claims, transaction
from sqlalchemy import func, select

from notes.models import Note

RESERVED = {"notes", "support"}


@hooks.before_registration.connect
@hooks.may_refuse(errors.UsernameTaken)
def refuse_reserved_names(_app, *, username, **_):
    """Keep names for the service itself."""
    if username.lower() in RESERVED:
        raise errors.UsernameTaken


@hooks.user_registered.connect
def write_welcome_note(_app, *, user_id, username, **_):
    """Give each new account a note to begin with."""
    with transaction() as session:
        session.add(Note(user_id=user_id, body=f"Welcome, {username}."))


def refuse_the_service_in_passwords(wanted):
    """Refuse a password that contains the name of the service."""
    if "notes" in wanted.password.lower():
        yield "It contains the name of this service."


def has_notes(user_id, _session_id):
    """Return whether the user has notes, for services that read the access token."""
    return db.session.scalar(select(func.count()).where(Note.user_id == user_id)) > 0


password_checks.register("service_name", refuse_the_service_in_passwords)
token_claims.register("notes:has_notes", has_notes)
