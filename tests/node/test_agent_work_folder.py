"""The work folder of a job on its node: made with the claim, kept from `reap`, and removed when its user has it all."""

from .agent_client import AgentClient, gone, new_job
from .lives import Lives, ask_admission, ask_start, collect
from .test_agent_reap import names, reap


def worked(jobs: Lives, client: AgentClient, script: str, **spec: object) -> str:
    """A job with a work folder that has run to its end, which its client has followed."""
    job = new_job()
    client.ask("claim", job, work=True)
    claimed = client.until("claimed", job)
    ask_admission(client, job)
    client.until("admitted", job)
    supervisor = jobs.supervisor_of(job)
    ask_start(client, job, script, chdir=f"{claimed['folder']}/work", chdir_explicit=True, **spec)
    client.until("started", job)
    collect(client, job)
    assert gone([supervisor])
    return job


def test_it_is_there_before_the_job_and_for_nobody_else(jobs: Lives) -> None:
    client, job = jobs.agent(), new_job()
    client.ask("claim", job, work=True)
    folder = jobs.node.home() / "jobs" / job
    assert client.until("claimed", job)["folder"] == str(folder)
    assert (folder / "work").stat().st_mode & 0o777 == 0o700


def test_a_claim_that_asks_for_none_has_none(jobs: Lives) -> None:
    client, job = jobs.agent(), new_job()
    client.ask("claim", job)
    client.until("claimed", job)
    assert names(jobs.node.home() / "jobs" / job) == set()


def test_a_claim_that_is_not_started_takes_its_files_with_it(jobs: Lives) -> None:
    job = new_job()
    folder = jobs.node.home() / "jobs" / job
    with jobs.node.client() as client:
        client.until("hello")
        client.ask("claim", job, work=True)
        client.until("claimed", job)
        (folder / "work" / "deep").mkdir()
        (folder / "work" / "deep" / "file").touch()
    assert names(folder) == set()


def test_only_the_work_folder_is_forgotten_if_that_is_asked_for(jobs: Lives) -> None:
    client = jobs.agent()
    job = worked(jobs, client, "echo out; mkdir -p a/b; echo x > a/b/c", results_s=1000.0)
    before = names(jobs.node.home() / "jobs" / job)
    client.ask("forget", job, work=True)
    client.ask_node("ping")
    assert names(jobs.node.home() / "jobs" / job) == before - {"work"}
    assert ("job", job) in {finding[:2] for finding in reap(jobs)}, "nothing keeps it any more"


def test_results_are_kept_from_reap_for_as_long_as_was_said(jobs: Lives) -> None:
    client = jobs.agent()
    kept = worked(jobs, client, "echo x > result", results_s=1000.0)
    plain = worked(jobs, client, "echo x > result")
    assert [finding[1] for finding in reap(jobs)] == [plain]
    assert (jobs.node.home() / "jobs" / kept / "work" / "result").read_text() == "x\n"
