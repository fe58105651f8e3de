"""Benchmarks: requests under load (``make bench``), and the pages of lists (``make bench-lists``)."""
