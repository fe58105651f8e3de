"""What the application and ``authapp.serving``, which must not import it, have in common.

These are mostly keys under which the application leaves values for it.
"""

DEFAULT_PORT, DEFAULT_WORKERS = 8000, 2
"""Where ``PORT`` and ``WEB_CONCURRENCY`` are not set."""

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
