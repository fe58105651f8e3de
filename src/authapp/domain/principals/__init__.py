"""Principals: the one query of every protected request."""
