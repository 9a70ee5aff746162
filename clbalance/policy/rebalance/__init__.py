"""Rebalancing: from a sweep and running jobs to a plan of migrations (docs/design/rebalance.md). Pure."""
