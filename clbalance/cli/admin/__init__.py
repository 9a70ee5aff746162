"""Carry out doctor, reap, config and lab."""
