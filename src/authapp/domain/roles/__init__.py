"""Roles: named sets of permissions, and who may give them."""
