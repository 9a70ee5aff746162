"""What the steps of a playbook do on a node."""
