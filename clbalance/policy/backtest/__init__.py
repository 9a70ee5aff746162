"""Policies that are chosen: each is replayed on the recorded history, and the figures decide. Pure."""
