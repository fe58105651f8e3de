"""Email: the outbox of mails to send."""
