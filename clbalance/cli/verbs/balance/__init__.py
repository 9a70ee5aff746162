"""The verbs to balance nodes and to take them out of placement."""
