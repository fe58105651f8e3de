"""Passwords: rules, hashing, verification, login, and limits on guessing."""
