"""Carry out what is asked of jobs that were submitted before."""
