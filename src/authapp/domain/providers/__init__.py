"""Logging in by a provider (OpenID Connect), and linking its users with accounts."""
