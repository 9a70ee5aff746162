"""Decisions about one job: its state and exit code, whether it is started again, its tasks. Pure."""
