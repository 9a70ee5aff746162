"""What a line of `clbalance shell` means."""
