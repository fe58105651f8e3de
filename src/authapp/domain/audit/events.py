"""The registry of audit event types, with names of the form ``noun.verb``. An application can add its own."""

from authapp.registry import Registry

event_types: Registry[str] = Registry(
    "type of audit event", r"[a-z][a-z_]*\.[a-z][a-z_]*", "use noun.verb, in a-z and _, such as note.created."
)
"""For each type, a sentence that says what happened. Register your own types before you record them."""


class EventType:
    """The event types of authapp itself."""

    USER_REGISTERED = event_types.register("user.registered", "A guest registered an account.")
    USER_CREATED = event_types.register("user.created", "An administrator or operator created an account.")
    USER_IMPORTED = event_types.register("user.imported", "An account was imported from another system.")
    USER_CHANGED = event_types.register("user.changed", "The names of an account changed.")
    USER_DISABLED = event_types.register("user.disabled", "An account was disabled.")
    USER_ENABLED = event_types.register("user.enabled", "An account was enabled again.")
    USER_DELETED = event_types.register("user.deleted", "An account was deleted.")
    USER_ERASED = event_types.register(
        "user.erased", "The client data of a deleted account was removed from the audit trail."
    )
    USER_EXPORTED = event_types.register("user.exported", "A user exported the data of their own account.")
    ACCOUNTS_EXPORTED = event_types.register("accounts.exported", "An operator exported accounts to a file.")
    USER_LOCKED = event_types.register("user.locked", "A name of an account was locked after too many failed logins.")
    USER_UNLOCKED = event_types.register("user.unlocked", "The failed logins of an account were forgotten.")
    LOGIN_REFUSED = event_types.register("login.refused", "A login failed.")
    SESSION_STARTED = event_types.register("session.started", "A login started a session.")
    SESSION_STEPPED_UP = event_types.register("session.stepped_up", "The user of a session was authenticated again.")
    SESSION_REFRESHED = event_types.register("session.refreshed", "A refresh token was exchanged.")
    SESSION_ENDED = event_types.register("session.ended", "One or more sessions of an account ended.")
    REFRESH_TOKEN_REUSED = event_types.register(
        "refresh_token.reused", "A refresh token that had been exchanged was sent again; its session ended."
    )
    TOKEN_REVOKED = event_types.register("token.revoked", "An access token was revoked by itself.")
    PASSWORD_CHANGED = event_types.register("password.changed", "The password of an account changed.")
    PASSWORD_REFUSED = event_types.register("password.refused", "A wrong current password was sent by a live session.")
    PASSWORD_CHECK_SKIPPED = event_types.register(
        "password_check.skipped", "The list of breached passwords could not be asked, so a new password was accepted."
    )
    PASSWORD_VOIDED = event_types.register(
        "password.voided", "The password of an account was voided; its owner chooses another with a link in a mail."
    )
    PASSWORD_RESET_REQUESTED = event_types.register(
        "password.reset_requested", "A mail with a link to reset the password was sent."
    )
    PASSWORD_RESET = event_types.register("password.reset", "A password was reset with a link in a mail.")
    LOGIN_LINK_SENT = event_types.register("login_link.sent", "A mail with a link to log in was sent.")
    EMAIL_VERIFIED = event_types.register("email.verified", "Somebody proved to read the mail of an account's address.")
    EMAIL_CHANGE_REQUESTED = event_types.register("email.change_requested", "A user asked for another email address.")
    EMAIL_CHANGE_WITHDRAWN = event_types.register("email.change_withdrawn", "A user no longer wants another address.")
    EMAIL_CHANGED = event_types.register("email.changed", "A user's new email address was confirmed.")
    EMAIL_CHANGE_UNDONE = event_types.register(
        "email.change_undone", "The previous address was restored with the link in the mail to it."
    )
    FACTOR_ADDED = event_types.register("factor.added", "A second factor or a provider was added to an account.")
    FACTOR_REMOVED = event_types.register(
        "factor.removed", "A second factor or a provider was removed from an account."
    )
    FACTOR_RESET = event_types.register(
        "factor.reset", "All second factors of an account were removed, or those that were added lately."
    )
    SECOND_FACTOR_REFUSED = event_types.register(
        "second_factor.refused", "A second factor was refused, after the right first one or in a session."
    )
    RECOVERY_CODE_USED = event_types.register("recovery_code.used", "A recovery code was used in place of a factor.")
    RECOVERY_CODES_CREATED = event_types.register("recovery_codes.created", "An account got new recovery codes.")
    PASSKEY_COUNTER_REVERSED = event_types.register(
        "passkey.counter_reversed", "The signature counter of a passkey went back: there may be a copy of it."
    )
    API_KEY_CREATED = event_types.register("api_key.created", "An API key was made for an account.")
    API_KEY_REVOKED = event_types.register("api_key.revoked", "An API key of an account was deleted.")
    API_KEY_REFUSED = event_types.register(
        "api_key.refused",
        "A key that has expired, or whose owner is disabled, was sent: once an hour for each key and worker.",
    )
    PROVIDER_LINKED = event_types.register("provider.linked", "A user of a provider was linked with an account.")
    PROVIDER_UNLINKED = event_types.register("provider.unlinked", "A user of a provider was unlinked from an account.")
    PROVIDER_REFUSED = event_types.register("provider.refused", "The answer of a provider was refused.")
    ROLE_GRANTED = event_types.register("role.granted", "An account was given a role.")
    ROLE_REVOKED = event_types.register("role.revoked", "A role was taken from an account.")
    ROLE_CREATED = event_types.register("role.created", "A role was created.")
    ROLE_CHANGED = event_types.register("role.changed", "A role was changed.")
    ROLE_DELETED = event_types.register("role.deleted", "A role was deleted.")
    KEY_ROTATED = event_types.register("key.rotated", "The keys that sign tokens, or those that encrypt, were rotated.")
    KEY_RETIRED = event_types.register("key.retired", "Keys were removed from the key ring.")
    MAIL_SENT = event_types.register("mail.sent", "The mail server accepted a mail to an account.")
    MAIL_FAILED = event_types.register("mail.failed", "A mail to an account was given up.")
    AUDIT_PRUNED = event_types.register("audit.pruned", "Old audit events were removed.")
