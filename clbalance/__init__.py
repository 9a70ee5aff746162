"""Put work on the least loaded nodes of a cluster, over plain ssh."""

__version__ = "0.1.0"
