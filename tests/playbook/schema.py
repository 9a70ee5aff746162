"""Writes docs/playbook.schema.json: `python -m tests.playbook.schema`."""

from clbalance.playbook.forms import json_schema
from tests.playbook.test_load import SCHEMA

if __name__ == "__main__":
    SCHEMA.write_bytes(json_schema())
