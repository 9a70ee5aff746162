"""The command at the door of a lab, for the tests of each playbook."""

from tests.cli.conftest import alone, clbalance, folder

__all__ = ["alone", "clbalance", "folder"]
