"""Placement of one request: filter, score, select, charge. Pure."""
