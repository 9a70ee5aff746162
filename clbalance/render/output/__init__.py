"""What jobs print, on its way to the screen or to files."""
