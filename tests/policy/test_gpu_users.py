"""Who is on a device, and which jobs hold more of its memory than their share."""

from dataclasses import replace

import pytest

from clbalance.model import Allocation, Gpu, GpuProcess, Lease, Unknown
from clbalance.policy.gpu_users import GpuUser, is_strangers, share_excesses, users_of
from tests.render.build import GIB, gpu, reading

ME, SHE = 1000, 1001
NOT_TOLD = Unknown(reason="[N/A]")


def lease(uid: int = ME, *, key: str = "k", share: float = 1.0, gpus: tuple[str, ...] = ("GPU-0",)) -> Lease:
    return Lease(key=key, attempt=1, uid=uid, allocation=Allocation(gpus=gpus, gpu_share=share))


def process(gib: float | Unknown = 1, *, uid: int | None = ME, of: Lease | None = None, pid: int = 5) -> GpuProcess:
    size = gib if isinstance(gib, Unknown) else int(gib * GIB)
    return GpuProcess(pid=pid, name="x", mem_bytes=size, uid=uid, lease="" if of is None else of.name)


def device(*processes: GpuProcess) -> Gpu:
    """It has 80 GiB."""
    return replace(gpu(0), processes=processes)


def users(one: Gpu, leases: tuple[Lease, ...] | Unknown) -> tuple[GpuUser, ...]:
    return users_of(reading(gpus=[one], leases=leases))[one.uuid]


def test_processes_come_with_the_leases_of_their_jobs_and_idle_holders_come_last() -> None:
    mine, hers = lease(), lease(SHE, key="h")
    (first, second) = users(device(process(of=mine)), (hers, mine))
    assert (first.process is not None, first.lease, first.holds_device) == (True, mine, True)
    assert (second.process, second.lease, second.holds_device) == (None, hers, True)


def test_a_job_on_a_device_that_it_has_not_leased_is_told() -> None:
    elsewhere = lease(gpus=("GPU-7",))
    (user,) = users(device(process(of=elsewhere)), (elsewhere,))
    assert (user.lease, user.holds_device) == (elsewhere, False)


def test_a_lease_with_the_name_of_another_users_lease_gets_none_of_its_processes() -> None:
    mine, forged = lease(ME), lease(SHE)
    found = users(device(process(of=mine)), (forged, mine))
    assert [(user.lease, user.process is None) for user in found] == [(mine, False), (forged, True)]


def test_unknown_processes_and_leases_are_no_users() -> None:
    unknown = Unknown(reason="timed out")
    assert users(replace(gpu(0), processes=unknown), unknown) == ()
    assert users_of(reading(gpus=unknown)) == {}


@pytest.mark.parametrize(
    ("one", "leases", "expected"),
    [
        (process(uid=SHE), (), True),
        (process(uid=ME), (), False),
        (process(uid=None), (), None),
        (process(uid=SHE, of=lease(SHE)), (lease(SHE),), False),
    ],
    ids=["another user's process", "one's own process", "nobody knows whose", "another user's job"],
)
def test_who_is_a_stranger(one: GpuProcess, leases: tuple[Lease, ...], expected: bool | None) -> None:
    assert is_strangers(users(device(one), leases)[0], reading(leases=leases)) is expected


def test_nobody_is_called_a_stranger_while_the_leases_are_unknown() -> None:
    assert is_strangers(users(device(process(uid=SHE)), NOT_TOLD)[0], reading(leases=NOT_TOLD)) is None
    (mine,) = users(device(process(uid=ME)), ())
    assert is_strangers(mine, replace(reading(), uid=NOT_TOLD)) is None


def excesses(one: Gpu, *leases: Lease) -> list[tuple[str, int, int]]:
    found = share_excesses(reading(gpus=[one], leases=leases))
    return [(excess.lease.key, excess.mem_bytes // GIB, excess.share_bytes // GIB) for excess in found]


def test_the_processes_of_a_job_are_added_up_against_its_share() -> None:
    mine, hers = lease(share=0.25), lease(SHE, key="h", share=0.5)
    one = device(process(13, of=mine), process(12, of=mine, pid=6), process(40, of=hers), process(70, uid=SHE))
    assert excesses(one, mine, hers) == [("k", 25, 20)]


def test_what_the_driver_takes_is_nobodys_excess() -> None:
    mine = lease(share=0.25)
    assert excesses(device(process(24, of=mine)), mine) == []
    assert excesses(device(process(24.1, of=mine)), mine) == [("k", 24, 20)]


def test_a_whole_device_and_unknown_memory_have_no_excess() -> None:
    whole, share = lease(), lease(share=0.25)
    assert excesses(device(process(90, of=whole)), whole) == []
    assert excesses(device(process(NOT_TOLD, of=share)), share) == []
    assert excesses(replace(device(process(90, of=share)), mem_total_bytes=NOT_TOLD), share) == []
    unreadable = Lease(key="k", attempt=1, uid=ME, allocation=NOT_TOLD)
    assert excesses(device(process(90, of=unreadable)), unreadable) == []
    assert share_excesses(reading(gpus=NOT_TOLD)) == share_excesses(reading(leases=NOT_TOLD)) == ()
