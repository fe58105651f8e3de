"""Methods and health probes, as the log, the metrics and the traces name them."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""The methods that are named. A client can send any word."""

HEALTH_PROBES = "/health/"
"""How paths and routes of health probes begin."""
