"""Importing accounts of other systems."""
