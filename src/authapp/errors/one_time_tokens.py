"""The refusal of links and codes that were sent by mail."""

from authapp.errors.refusals import Malformed


class OneTimeTokenInvalid(Malformed):
    """This link or code is not valid, or no longer.

    It is unknown, expired, already used, or for something else; or the account is disabled or has another address by
    now; or too many codes were wrong. The answer is the same for all of these. Request another mail.
    """

    code = "one_time_token_invalid"
    title = "This link or code is not valid."
