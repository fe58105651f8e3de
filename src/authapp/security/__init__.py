"""Cryptography only: nothing here uses the database or a request."""
