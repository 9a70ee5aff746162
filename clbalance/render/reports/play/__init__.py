"""Reports of `play`."""
