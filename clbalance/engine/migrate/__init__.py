"""Carry out the migrations of a plan."""
