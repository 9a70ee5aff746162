"""Carry out `run`, for one job and for many tasks."""
