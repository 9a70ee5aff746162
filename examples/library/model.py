"""What `sweep.py` runs on nodes. Arguments and results are JSON values."""


def loss(rate: float) -> float:
    """The loss for a learning rate."""
    return (rate - 0.4) ** 2
