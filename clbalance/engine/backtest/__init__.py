"""The choice among policies that `rebalance` makes once a day."""
