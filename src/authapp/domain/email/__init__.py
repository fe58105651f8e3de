"""Email: the outbox of mails to send, changes of address, login links, and notices."""
