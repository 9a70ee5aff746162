"""Carry out `copy` and `fetch`."""
