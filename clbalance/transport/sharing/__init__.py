"""Connections of ssh that are kept for the next call."""
