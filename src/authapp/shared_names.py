"""Names under which the application leaves what ``authapp.serving`` reads, which must not import the application."""

EXTENSION = "authapp"
"""The key of ``Flask.extensions``."""

REQUEST_ID = "authapp.request_id"
"""Where the WSGI environ has the id of the request."""

ROUTE = "authapp.route"
CODE = "authapp.code"
"""Where it has the rule that was found for the request, and the code of a refusal."""

PRINCIPAL = "authapp.principal"
"""Where it has the principal of the request."""

TRACE = "authapp.trace"
"""Where it has the ids of the trace and of the span of the request, in hexadecimal, while traces are made."""

USER_AGENT = "authapp.user_agent"
"""Where it has the user agent, decoded."""
