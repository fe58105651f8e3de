"""The API: every route needs an access token, unless it is marked otherwise."""

from authapp import (
    Blueprint,
    RateLimit,
    audit,
    current_principal,
    db,
    event_types,
    limited,
    permissions,
    public,
    rate_limits,
    request_context,
    requires,
    transaction,
)
from marshmallow import Schema, fields, validate
from sqlalchemy import func, select

from notes.deletion import request_deletion
from notes.models import Note

permissions.register("notes:read", "Read everybody's notes.")
rate_limits.register("note_writing", RateLimit(30, 60))
event_types.register("note.created", "A note was written.")

notes = Blueprint("notes", __name__, description="Notes")


class NoteSchema(Schema):
    """A note."""

    id = fields.UUID(dump_only=True)
    body = fields.String(required=True, validate=validate.Length(1, 1000), metadata={"examples": ["Buy milk."]})
    created_at = fields.AwareDateTime(dump_only=True)


class NotesSchema(Schema):
    """A list of notes."""

    items = fields.List(fields.Nested(NoteSchema), required=True)


class AboutSchema(Schema):
    """What this service holds."""

    notes = fields.Integer(required=True)


@notes.get("")
@notes.response(200, NotesSchema)
def list_own_notes():
    """List the notes of the principal."""
    found = select(Note).where(Note.user_id == current_principal().id).order_by(Note.created_at)
    return {"items": db.session.scalars(found).all()}


@notes.post("")
@limited("note_writing")
@notes.arguments(NoteSchema)
@notes.response(201, NoteSchema)
def write_note(body):
    """Write a note."""
    note = Note(user_id=current_principal().id, **body)
    with transaction() as session:
        session.add(note)
        session.flush()
        audit.record("note.created", context=request_context(), subject_id=note.user_id, note_id=str(note.id))
    return note


@notes.delete("")
@notes.response(202)
def delete_own_notes():
    """Ask for a mail with a link that deletes all notes of the principal."""
    request_deletion(current_principal().id, request_context())
    return ""


@notes.get("/all")
@requires("notes:read")
@notes.response(200, NotesSchema)
def list_all_notes():
    """List everybody's notes."""
    return {"items": db.session.scalars(select(Note).order_by(Note.created_at)).all()}


@notes.get("/about")
@public
@notes.response(200, AboutSchema)
def count_notes():
    """Tell how many notes there are; for guests, too."""
    return {"notes": db.session.scalar(select(func.count()).select_from(Note))}
