"""Reports on the set-up and on what is left behind."""
