"""How old mails may get: each of these is longer than the one before."""

from datetime import timedelta

GIVE_UP_AFTER = timedelta(days=1)
"""How long after it was stored a mail is tried again when it could not be delivered."""

NOTICE_MAX_AGE = timedelta(days=3)
"""How old a notice may get. Its reader can still act on it after a weekend without a mail server."""

UNSENT_KEPT_FOR = timedelta(days=7)
"""How long after it was due a mail is kept that no sender has dealt with. It is longer than any kind's ``max_age``."""
