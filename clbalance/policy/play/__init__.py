"""Decisions of a playbook's run: the order of nodes, which turns start, what each node does next. Pure."""
