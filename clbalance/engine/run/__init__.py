"""Run one job: attempts, dispatch, migration while it runs."""
