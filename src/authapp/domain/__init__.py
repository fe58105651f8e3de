"""The use cases. They own the transaction, refuse by name, and know nothing of HTTP."""
