"""Leases, drain marks, admission."""
