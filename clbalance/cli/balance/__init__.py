"""Carry out drain, resume, rebalance and replay."""
