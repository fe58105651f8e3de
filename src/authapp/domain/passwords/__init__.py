"""Passwords: verifying them, logging in with one, and the limits on guessing."""
