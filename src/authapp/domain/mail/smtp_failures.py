"""What an SMTP server's replies (RFC 5321, 4.2; RFC 3463) and a broken connection mean, in words for operators."""

import re
import smtplib
import socket
import ssl
import string

from authapp.domain.failures import printable
from authapp.domain.mail.smtp_client import ConnectionDeadline
from authapp.domain.mail.transports import RecipientRefused, TemporaryFailure

TEXT_MAX_LENGTH = 200

_SETTINGS_REPLIES = {500, 502, 503, 504, 530, 534, 535, 538}
"""Replies about the commands or the login, not about the recipient."""

_PERMANENT = 500

_CONNECTION_ERRORS: dict[type[Exception], str] = {
    smtplib.SMTPNotSupportedError: "The server offers no login, and the settings have a password.",
    smtplib.SMTPServerDisconnected: "The server closed the connection.",
    socket.gaierror: "The server's name cannot be resolved.",
    UnicodeError: "The name or the password of the login is not ASCII.",
}


def failure_of(code: int, reply: bytes, recipient: str) -> RecipientRefused | TemporaryFailure:
    """Return what a refusal of a recipient or of a mail to it means.

    A permanent refusal (5yz) gives the mail up, except for those that an operator can correct meanwhile: the login,
    and the status class 5.7 (policy), such as relaying denied or a missing SPF record.
    """
    text = reply_text(code, reply, recipient)
    is_policy = re.match(rb"5\.7\.\d", reply) is not None
    if code < _PERMANENT or code in _SETTINGS_REPLIES or is_policy:
        return TemporaryFailure(f"The server answered {text}.")
    return RecipientRefused(f"The server refuses the recipient: {text}.")


def reply_text(code: int, reply: bytes, recipient: str = "") -> str:
    """Return a reply in one printable line, without addresses: what logs and events hold names no recipient.

    Servers name it also by its local part: "User ada unknown".
    """
    local_part = recipient.rpartition("@")[0]
    words = reply.decode("utf-8", "replace").split()
    hidden = ("<address>" if "@" in word or _bare(word) == _bare(local_part) != "" else word for word in words)
    text = printable(" ".join(hidden))
    return f"{code} {text}"[:TEXT_MAX_LENGTH].strip().rstrip(".")


def _bare(word: str) -> str:
    return word.strip(string.punctuation).casefold()


def connection_failure(error: OSError | UnicodeError, deadline: ConnectionDeadline) -> str:
    """Return what went wrong with the connection, as a sentence. All errors of ``smtplib`` are ``OSError``."""
    if deadline.is_over or isinstance(error, TimeoutError):
        return f"The server did not finish within {deadline.seconds:g} s."
    if isinstance(error, smtplib.SMTPResponseException):
        what = "refuses the login:" if isinstance(error, smtplib.SMTPAuthenticationError) else "answered"
        return f"The server {what} {reply_text(*reply_of(error))}."
    if isinstance(error, ssl.SSLError):
        return _tls_failure(error)
    known = (sentence for kind, sentence in _CONNECTION_ERRORS.items() if isinstance(error, kind))
    return next(known, f"The connection failed: {getattr(error, 'strerror', None) or type(error).__name__}.")


def _tls_failure(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The server's certificate is not accepted: {error.verify_message.rstrip('.')}."
    return f"TLS failed: {error.reason or 'the server broke it off'}."


def reply_of(error: smtplib.SMTPResponseException) -> tuple[int, bytes]:
    """Return the code and the text of the reply that an error of ``smtplib`` holds."""
    reply: bytes | str = error.smtp_error
    return error.smtp_code, reply.encode() if isinstance(reply, str) else reply
