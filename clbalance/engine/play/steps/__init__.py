"""What each action of a playbook does on one node (docs/design/playbooks.md, "Steps")."""
