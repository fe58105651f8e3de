"""The refusal of requests and attempts above a limit."""

from authapp.errors.refusals import TooMany


class TooManyRequests(TooMany):
    """There were too many login attempts under this name, or too many requests from this address.

    The request was not processed, and a password in it was not checked. Wait for the number of seconds in
    `Retry-After`; trying sooner does not help. After many failed attempts in a row (50 by default) a name is locked
    until its owner resets the password, or an administrator unlocks the account or sets a new password. The other name
    of the account, and its live sessions, continue. A session in which as many wrong passwords were sent takes no more
    of them: log in again.
    """

    code = "too_many_requests"
    title = "There were too many requests."
