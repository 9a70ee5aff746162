"""The output of jobs on its way to the screen or to files."""
