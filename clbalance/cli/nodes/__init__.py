"""Carry out load, history and metrics."""
