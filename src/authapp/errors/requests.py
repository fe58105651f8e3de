"""Refusals of a request for what it is, whoever sends it."""

from authapp.errors.refusals import Forbidden, Invalid, Malformed, NotFound, Refusal


class MalformedRequest(Malformed):
    """The body cannot be parsed, or the request contradicts itself.

    A JSON body must be one object, in UTF-8 without a byte order mark. It must not be nested too deeply, and must not
    contain duplicate keys, NUL characters, lone surrogates or invalid numbers. A form must not repeat a parameter.
    Correct the request; sending it again unchanged will not help.
    """

    code = "malformed_request"
    title = "The request cannot be read."


class MethodNotAllowed(Refusal):
    """The path exists, but does not support this method.

    Use one of the methods in the `Allow` header.
    """

    code = "method_not_allowed"
    title = "This method is not allowed here."


class OriginNotAllowed(Forbidden):
    """The refresh token is in a cookie, and the request does not show that a page which may use it has sent it.

    Send the header `X-Authapp-Cookie: 1`, from a page of this server or of an origin that the operator has listed.
    """

    code = "origin_not_allowed"
    title = "This page may not use the cookie."


class PayloadTooLarge(Refusal):
    """The body is larger than 64 KiB.

    Send a smaller body.
    """

    code = "payload_too_large"
    title = "The body is too large."


class UnsupportedMediaType(Refusal):
    """The body has a media type that this route does not accept, or it is compressed.

    Send `Content-Type: application/json`, or `application/x-www-form-urlencoded` to introspect or revoke a token. Do
    not send `Content-Encoding`.
    """

    code = "unsupported_media_type"
    title = "The body is of a type that is not read here."


class ResourceNotFound(NotFound):
    """There is nothing at this path, or nothing that you may see.

    Check the path and the id.
    """

    code = "not_found"
    title = "There is nothing here."


class ValidationFailed(Invalid):
    """A field is missing, unknown, of the wrong type, or breaks its rule.

    `errors` lists each invalid field by its JSON pointer. Correct those fields and send the request again.
    """

    code = "validation_failed"
    title = "Some fields are not valid."
