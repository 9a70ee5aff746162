"""Which files are copied, which are the same, and which are deleted. Pure."""
