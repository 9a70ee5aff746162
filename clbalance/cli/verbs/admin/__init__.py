"""The verbs for set-up, checks and cleaning up."""
