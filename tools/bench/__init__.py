"""Measurements: of requests under load (``make bench``), and of the pages of lists (``make bench-lists``)."""
