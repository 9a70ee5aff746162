"""Playbooks: from the bytes of a YAML file to a checked `model.playbook.Playbook`. Pure (docs/design/playbooks.md)."""
