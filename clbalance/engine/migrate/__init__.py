"""Carry out planned migrations."""
