"""Which running jobs should go on elsewhere: from what a sweep saw to moves (docs/design/rebalance.md). Pure."""
