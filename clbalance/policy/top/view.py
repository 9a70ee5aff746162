"""The views of `top`."""

from enum import StrEnum


class View(StrEnum):
    """What a row is about."""

    NODES = "nodes"
    GPUS = "gpus"
    JOBS = "jobs"
    USERS = "users"
    GROUPS = "groups"
