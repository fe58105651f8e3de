"""The use cases. They control transactions, raise refusals, and know nothing of HTTP."""
