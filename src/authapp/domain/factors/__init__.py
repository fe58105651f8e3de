"""Factors of an account: what it can be logged in to with."""
