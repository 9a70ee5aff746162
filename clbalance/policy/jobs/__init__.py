"""The life of a job: how it ended, whether it is started again, its tasks. Pure."""
