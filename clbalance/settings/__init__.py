"""From settings files and environment variables to one frozen `Settings`, with the origin of each value."""
