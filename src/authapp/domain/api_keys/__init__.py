"""API keys: making, listing and deleting them, accepting them, and issuing tokens for them."""
