"""The records of runs of playbooks, in the state database."""
