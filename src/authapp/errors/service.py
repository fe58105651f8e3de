"""Refusals that are not the fault of the request."""

from authapp.errors.refusals import Refusal, Unavailable


class ServiceUnavailable(Unavailable):
    """The database does not answer, so no request can be authorized; or too many passwords are being checked at once.

    Nothing was done, unless the connection to the database was lost during the commit itself. Send the request again
    after the number of seconds in `Retry-After`.
    """

    code = "service_unavailable"
    title = "The service cannot answer now."


class InternalError(Refusal):
    """An unexpected error occurred in the service.

    The error is logged with the `request_id` of this response. Give that id to the operator.
    """

    code = "internal_error"
    title = "Something went wrong on the server."
