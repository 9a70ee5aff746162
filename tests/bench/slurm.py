"""A Slurm for `srun`: that of a lab of one node, which ends with the question."""

from collections.abc import Iterator
from contextlib import contextmanager

from clbalance.errors import LabError
from clbalance.lab.cluster import Lab
from clbalance.lab.spec import LabSpec

from .site import Place, WrongRunError

CONFIG = "{folder}/slurm/slurm/slurm.conf"
"""For SLURM_CONF, as the words of a question's command."""


@contextmanager
def slurm(place: Place) -> Iterator[None]:
    """Up once its node is idle."""
    try:
        lab = Lab.up(place.folder / "slurm", LabSpec(nodes=1, cpus=64, gpus=0, tied=True, slurm=True))
    except LabError as error:
        raise WrongRunError(str(error)) from error
    with lab:
        yield
