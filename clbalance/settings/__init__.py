"""What was configured, where, and whether it may be believed: from files and variables to one frozen `Settings`."""
