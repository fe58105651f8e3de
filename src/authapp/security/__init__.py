"""Crypto only: nothing here asks the database or sees a request."""
