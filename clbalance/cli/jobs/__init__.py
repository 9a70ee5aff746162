"""Carry out the verbs for jobs that were submitted before."""
