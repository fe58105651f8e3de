"""Deleting all of one's notes: asked for by their user, and confirmed with the link in a mail."""

from datetime import timedelta
from pathlib import Path

from authapp import MailKind, PurposeRule, mail_kinds, outbox, recipients, token_purposes, transaction, use_token
from sqlalchemy import delete

from notes.models import Note

DELETE_NOTES = token_purposes.register("delete_notes", PurposeRule(timedelta(hours=1)))
mail_kinds.register(
    "delete_notes",
    MailKind(
        recipients.active_owner,
        purpose=DELETE_NOTES,
        max_age=timedelta(hours=1),
        templates=Path(__file__).parent / "templates" / "mail",
    ),
)


def request_deletion(user_id, context):
    """Store a mail with a link that deletes the notes of a user."""
    with transaction():
        outbox.add("delete_notes", user_id=user_id, address=None, context=context)


class NotesDeletion:
    """Confirms the link: deletes the notes of the user to whom it was sent."""

    purpose = DELETE_NOTES

    def confirm(self, found, _password, _context):
        with transaction() as session:
            user = use_token(found)
            session.execute(delete(Note).where(Note.user_id == user.id))
