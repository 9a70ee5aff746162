"""Which nodes a request goes to, and why not the others: pure functions from values to values."""
