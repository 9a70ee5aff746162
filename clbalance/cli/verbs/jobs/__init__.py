"""The verbs for jobs."""
