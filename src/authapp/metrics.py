"""Every metric that the code counts for Prometheus, by name, with its labels.

The values of a label are bounded: templates of routes, codes of errors, registered types and kinds; never a path, a
user or an address. Under ``authapp.serving``, with ``AUTHAPP_METRICS=on``, they are added up over all workers.
"""

from prometheus_client import Counter, Gauge, Histogram

HTTP_REQUESTS = Counter(
    "authapp_http_requests_total",
    "Requests answered, by route template, method, status and code of the error.",
    ["route", "method", "status", "code"],
)
HTTP_REQUEST_SECONDS = Histogram(
    "authapp_http_request_duration_seconds",
    "Time from the end of the headers to the end of the answer.",
    ["route", "method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
HTTP_CONNECTIONS = Gauge(
    "authapp_http_connections", "Connections of clients that are open.", multiprocess_mode="livesum"
)

DATABASE_STATEMENTS = Counter(
    "authapp_database_statements_total",
    "Statements sent to PostgreSQL: prepared ones of the fast path, and those of SQLAlchemy.",
    ["via"],
)
DATABASE_WAIT_SECONDS = Histogram(
    "authapp_database_connection_wait_seconds",
    "Waits for a connection while all were in use; those that were free at once are not counted.",
    ["via"],
    buckets=(0.001, 0.01, 0.1, 0.5, 1, 2.5),
)
DATABASE_UNAVAILABLE = Counter(
    "authapp_database_unavailable_total", "Requests answered with 503 because the database could not be asked."
)

HASHES_RUNNING = Gauge("authapp_password_hashes_running", "Passwords being hashed.", multiprocess_mode="livesum")
HASHES_WAITING = Gauge(
    "authapp_password_hashes_waiting", "Passwords waiting for a thread.", multiprocess_mode="livesum"
)
HASHES_REFUSED = Counter(
    "authapp_password_hashes_refused_total", "Passwords not hashed, because the wait would have been too long."
)

AUDIT_EVENTS = Counter(
    "authapp_audit_events_total", "Audit events recorded, by type: logins, refusals, refreshes, reuse.", ["type"]
)
MAIL_ATTEMPTS = Counter(
    "authapp_mail_attempts_total", "Attempts to send a mail, by its kind and what became of it.", ["kind", "outcome"]
)
