"""Email: the outbox of mails that are still to be sent."""
