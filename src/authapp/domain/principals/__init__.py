"""Principals: the one statement that every protected request asks."""
