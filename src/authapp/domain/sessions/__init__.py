"""Sessions: starting, refreshing, listing and ending them, and the status of their tokens."""
