"""How old mails may get. ``MailKind.max_age`` says when one is given up: that of a notice is here."""

from datetime import timedelta

GIVE_UP_AFTER = timedelta(days=1)
"""How long a mail is tried again that is refused or cannot be made. One whose server is away may wait longer."""

NOTICE_MAX_AGE = timedelta(days=3)
"""How old a notice may get. Its reader can still act on it after a weekend without a mail server."""

UNSENT_KEPT_FOR = timedelta(days=7)
"""How long after it was due a mail is kept that no sender has dealt with. It is longer than any shipped kind's
``max_age``: one of yours that has more is sent late, but not after this."""
