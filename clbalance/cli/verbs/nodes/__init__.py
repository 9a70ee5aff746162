"""The verbs for the load of nodes."""
