"""How old mails may get. A kind of mail has its own ``max_age``; these are the ages that kinds share."""

from datetime import timedelta

GIVE_UP_AFTER = timedelta(days=1)
"""How long a sender retries a mail that is refused or cannot be made. While the server is away, mails wait longer."""

NOTICE_MAX_AGE = timedelta(days=3)
"""How old a notice may get. Its reader can still act on it after a weekend without a mail server."""

UNSENT_KEPT_FOR = timedelta(days=7)
"""How long pruning keeps a mail after it was due, where no sender runs. It is longer than ``max_age`` of every shipped
kind. A kind of yours may have a greater ``max_age``, and loses its mails to pruning."""
