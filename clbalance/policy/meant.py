"""Which GPUs of a node a request may be given, by its `--where`; the others are as if they were not there."""

from dataclasses import replace

from clbalance.model import Measured, Request, Unknown


def meant(answer: Measured, request: Request) -> Measured:
    """The node with the devices that count."""
    gpus = answer.reading.gpus
    if not request.constraints.where or isinstance(gpus, Unknown):
        return answer
    from clbalance.policy.expressions.where import parse_where  # few use it

    where = parse_where(request.constraints.where)
    if not where.of_device:
        return answer
    count = tuple(gpu for gpu in gpus if where.admits(answer, gpu))
    return answer if len(count) == len(gpus) else replace(answer, reading=replace(answer.reading, gpus=count))
