"""Submits one attempt of a job to its batch system. The launch is on disk before."""

from collections.abc import Sequence

from clbalance.engine.services import Services
from clbalance.model import NodeName, Plan, Snapshot
from clbalance.model.engine import Accepted, Answer, EngineOrder, Refused
from clbalance.model.job import JobSpec, Submitted
from clbalance.model.job_record import Intent, JobRecord, JobState, NotStarted, Outcome
from clbalance.policy.jobs.outcome import state_of, worst_outcome
from clbalance.ports import JobInput


def attempt_name(job: JobSpec | JobRecord) -> str:
    """The name of an attempt in its batch system. As with folders on nodes, it is never used twice."""
    return f"{job.key}.{job.claim}"


def launch(services: Services, job: JobSpec, submitted: Submitted, stdin: JobInput) -> Answer | None:
    """Record the attempt, and submit it. None: the job was cancelled or held meanwhile, so nothing was submitted.

    `EngineError`: it may be submitted, or not. Then `jobs` and `wait` find out.
    """
    engine, journal = services.engine(submitted.engine), services.journal
    after = [_number_of(services, number, submitted.engine) for number in submitted.restart_policy.after]
    refused = next((one for one in after if isinstance(one, Refused)), None)
    numbers = [one for one in after if isinstance(one, str) and one]
    prepared = refused or engine.prepare(_order(job, submitted, numbers), stdin)
    # The node is known once the job begins.
    intent = Intent(node=NodeName(submitted.engine), rank=0, boot_id="", incarnation="")
    plan = plan_of(services, ())
    if not journal.record_launch(job.id, attempt=job.attempt, claim=job.claim, intents=[intent], plan=plan):
        return None
    services.fail_point("engine-intended")
    lock = journal.control_fd()
    keep_open = () if lock is None else (lock,)
    answer = prepared if isinstance(prepared, Refused) else engine.submit(prepared, keep_open=keep_open)
    services.fail_point("engine-submitted")
    if isinstance(answer, Accepted):
        journal.located(job.id, job.claim, engine_id=answer.id, nodes=())
        journal.set_pending_reason(job.id, f"{submitted.engine} has it as its job {answer.id}")
    else:
        journal.ended(job.id, job.claim, refused_outcome(submitted.engine, answer))
    return answer


def _order(job: JobSpec, submitted: Submitted, after: Sequence[str]) -> EngineOrder:
    return EngineOrder(
        name=attempt_name(job),
        job=job,
        request=submitted.request,
        candidates=submitted.candidates,
        group=submitted.group,
        after=tuple(after),
        account=submitted.account,
        begin_at_s=submitted.begin_at_s,
    )


def refused_outcome(engine: str, refused: Refused) -> Outcome:
    """The outcome of an attempt that its batch system does not have."""
    return Outcome(node=NodeName(engine), rank=0, end=NotStarted(reason=refused.reason), seconds=0.0)


def plan_of(services: Services, nodes: tuple[NodeName, ...]) -> Plan:
    """The nodes that a batch system has chosen, as a plan; it tells no scores."""
    nothing = Snapshot(taken_at=services.clock.now(), answers=())
    return Plan(wanted=len(nodes) or 1, chosen=nodes, ranked=(), unfit=(), charged=nothing)


def _number_of(services: Services, number: int, engine: str) -> str | Refused:
    """The number there of a job in `--after`; empty: it is completed, and may be forgotten there."""
    record = services.journal.record(number)
    copies = () if record is None else services.journal.copies(number)
    state = None if record is None else _state_of(services, record)
    if state is JobState.COMPLETED:
        return ""
    if state is not None and state.is_over:
        return Refused(f"job {number} is {state}")
    if record is None or record.engine != engine:
        return Refused(f"job {number} is no job of {engine}, which waits only for its own")
    if not copies or not copies[-1].engine_id:
        return Refused(f"{engine} has not told its number of job {number}")
    return copies[-1].engine_id


def _state_of(services: Services, record: JobRecord) -> JobState:
    """The state of a job, also of one whose end nobody has recorded yet; its batch system may have forgotten it."""
    if record.state.is_over or record.has_controller or not record.engine:
        return record.state
    name = attempt_name(record)
    found = services.engine(record.engine).look_up([name]).get(name)
    worst = None if found is None else worst_outcome(found.outcomes)
    return record.state if worst is None else state_of(worst.end)
