"""The refusal of requests and attempts above a limit."""

from authapp.errors.refusals import TooMany


class TooManyRequests(TooMany):
    """There were too many attempts at a password or a code, or too many requests from this address or with this key.

    The request was not processed, and a password or code in it was not checked. Wait for the number of seconds in
    `Retry-After`; trying sooner does not help. For a lock, `Retry-After` is only when to look again: waiting does not
    open it. After many failed attempts in a row (50 by default) a name is locked until its owner resets the password,
    or an administrator unlocks the account or sets a new password. The other name of the account, and its live
    sessions, continue. A session in which as many wrong passwords were sent takes no more of them: log in again. After
    as many wrong codes of a second factor, the account takes no more of them until a recovery code or a passkey is the
    second factor, all factors are reset, or an operator unlocks the account. Requests are limited by client address, by
    API key and, for exports, by account.
    """

    code = "too_many_requests"
    title = "There were too many requests."
