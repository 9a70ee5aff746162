"""All decisions: placement, queue, rebalancing, drains and states of jobs. Pure functions from values to values."""
