"""One run of a playbook: turns of nodes, step by step (docs/design/playbooks.md)."""
