"""Scripts of other systems: `--sbatch` reads Slurm's options in Slurm's units; what is not read is told, once."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.cli.run.directives.comments import comment_lines
from clbalance.cli.run.directives.sbatch import Translation, mib_of, seconds_of, translate
from clbalance.cli.run.directives.sbatch_lines import sbatch_options
from clbalance.errors import UsageError
from tests.cli.command import Command

SHOW = 'echo "$CLBALANCE_JOB_NAME|$CLBALANCE_TASK_ID|$*"\n'


def translated(*lines: str) -> Translation:
    text = "#!/bin/sh\n" + "".join(f"#SBATCH {line}\n" for line in lines)
    return translate(sbatch_options(comment_lines(text.encode()), "job.sh"), "job.sh")


def remarks(alone: Command, folder: Path, text: str, *options: str) -> list[str]:
    """What is said on stderr before the job runs."""
    (folder / "job.sh").write_text(text)
    lines = alone("run", *options, "job.sh").stderr.splitlines()
    return [line for line in lines if line.startswith("clbalance: job.sh")]


# -- translation ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--job-name=a", "--name a"),
        ("-J a", "--name a"),
        ("-Ja", "--name a"),
        ("--job-name 'a b'", "--name|a b"),
        ("--cpus-per-task=4", "--cpus 4"),
        ("--cpus-per-t=4", "--cpus 4"),  # getopt_long takes the beginning of a name
        ("-c4 --mem=4000", "--cpus 4 --mem 4000M"),
        ("--mem=16G", "--mem 16384M"),
        ("--mem=100K", "--mem 100K"),
        ("--mem-per-cpu=2G -c 4", "--mem 8192M --cpus 4"),
        ("--time=30", "--time-limit 30m"),
        ("-t 1:30", "--time-limit 90s"),
        ("-t 1:30:00", "--time-limit 90m"),
        ("-t 2-12", "--time-limit 60h"),
        ("-t 1-0:0:1", "--time-limit 86401s"),
        ("-t UNLIMITED", ""),
        ("--gres=gpu", "--gpus 1"),
        ("--gres=gpu:2", "--gpus 2"),
        ("--gres=gres/gpu:2", "--gpus 2"),
        ("--gres=gpu:a100:2(S:0-1)", '--gpus|2|--where|gpu_model ~ "(?i)a100"'),
        ("--gres=gpu:a100", '--gpus|1|--where|gpu_model ~ "(?i)a100"'),
        ("--gres=gpu:0", ""),
        ("--gres=none", ""),
        ("--gpus=4 -N 2", "--gpus 2 --pick 2 --first-node"),
        ("-G h100:1", '--gpus|1|--where|gpu_model ~ "(?i)h100"'),
        ("--gpus-per-task=1 -n 2", "--gpus 2 --cpus 2"),
        ("--output=o.txt -e %x-%j.err", "--output o.txt --error job.sh-%j.err"),
        ("-J n% -o %x-%A_%a-%N", "--name n% --output n%%-%j_%t-%n"),
        ("-o 100%%", "--output 100%%"),
        ("--array=0-15%4", "--array 0-15%4"),
        ("-d afterok:7:8,afterok:9", "--after 7 --after 8 --after 9"),
        ("--begin=now+2hours", "--begin now+2h"),
        ("-b now+90", "--begin now+90s"),
        ("-b now+1week", "--begin now+7d"),
        ("-b 16:00", "--begin 16:00"),
        ("-b 2030-01-20T12:34:00", "--begin 2030-01-20T12:34:00"),
        ("--nodes=2", "--pick 2 --first-node"),
        ("-N 2-4", "--pick 2 --first-node"),
        ("-N 1", ""),
        ("-A acct", "--account acct"),
        ("-N 2 -n 8 -c 2", "--pick 2 --first-node --cpus 8"),
        ("--ntasks-per-node=3", "--cpus 3"),
        ("--exclusive --tmp=1024 -D /data", "--exclusive --tmp 1024M --chdir /data"),
        ("--export=NONE", ""),
        ("--export=A,B=2", "--env A --env B=2"),
        ("--requeue --parsable -Q --no-requeue", "--requeue"),
        ("# --mem=4", ""),
    ],
)
def test_an_option_of_slurm_becomes_ours_in_its_units(line: str, words: str) -> None:
    found = translated(line)
    expected = words.split("|" if "|" in words else None)
    assert (sorted(found.words), found.not_taken) == (sorted(expected), ())


def test_the_last_of_an_option_counts_as_for_sbatch() -> None:
    assert translated("--mem=1", "--mem=2").words == ["--mem", "2M"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("-p gpu", "`--partition=gpu` (type `-g gpu`)"),
        ("-w n[1-2]", "`--nodelist=n[1-2]` (type `-w n[1-2]`)"),
        ("--mem=0", "`--mem=0` (all memory of a node: `--exclusive`)"),
        ("--gres=shard:2", "`--gres=shard:2` (only GPUs are counted here)"),
        ("--export=ALL,A=1", "`--export=ALL,A=1` (a job has the environment of its node: `--env NAME`)"),
        ("--licenses=matlab", "`--licenses=matlab`"),
        ("--contiguous", "`--contiguous`"),
        ("-H", "`--hold` (type `clbalance hold JOB`)"),
        ("--nice", "`--nice` (`--priority N`)"),  # sbatch takes it without a value, too
        ("--nice=5", "`--nice` (`--priority N`)"),
    ],
)
def test_what_has_no_counterpart_is_named_with_what_to_type(line: str, told: str) -> None:
    assert translated(line) == Translation(words=[], not_taken=(told,))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("--nonsense", "job.sh:2: #SBATCH: option --nonsense not recognized"),
        ("--mem", "job.sh:2: #SBATCH: option --mem requires argument"),
        ("--gpus-per=1", "job.sh:2: #SBATCH: option --gpus-per not a unique prefix"),
        ("-t soon", "job.sh:2: #SBATCH: `--time=soon`: no time"),
        ("--mem=much", "job.sh:2: #SBATCH: `--mem=much`: no size"),
        (f"--mem={'9' * 400}", f"job.sh:2: #SBATCH: `--mem={'9' * 400}`: "),
        ("-N 0", "job.sh:2: #SBATCH: `--nodes=0`: a number, 1 or more"),
        ("-N 4-2", "job.sh:2: #SBATCH: `--nodes=4-2`: the smallest"),
        ("--gpus=3 -N 2", "job.sh:2: #SBATCH: `--gpus=3`: no number of GPUs, the same on each node"),
        ("--begin=teatime", "such as now+2hours"),
        ("-d afterany:3", "job.sh:2: #SBATCH: `--dependency=afterany:3`: only afterok"),
        ("-d singleton", "only afterok"),
        ("-o %5j", "`--output=%5j`: %5j has no counterpart"),
        ("-o %s", "%s has no counterpart"),
        ("--name 'a", "job.sh:2: No closing quotation"),
        ("job.sh", "job.sh:2: #SBATCH: 'job.sh' is no option"),
    ],
)
def test_what_must_not_be_dropped_is_an_error_with_its_place(line: str, reason: str) -> None:
    with pytest.raises(UsageError) as told:
        translated(line)
    assert reason in str(told.value)


@given(st.integers(0, 99), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_each_form_of_slurms_time_is_read(days: int, hours: int, minutes: int, seconds: int) -> None:
    whole = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    assert seconds_of(f"{days}-{hours}:{minutes:02d}:{seconds:02d}") == (whole or None)
    assert seconds_of(f"{hours}:{minutes:02d}:{seconds:02d}") == (whole - days * 86400 or None)
    assert seconds_of(f"{minutes}:{seconds:02d}") == (minutes * 60 + seconds or None)


@given(st.text(max_size=12))
def test_any_other_text_is_refused_and_never_guessed(text: str) -> None:
    for read in (seconds_of, mib_of):
        with contextlib.suppress(ValueError):
            assert (read(text) or 0) >= 0


# -- in use ---------------------------------------------------------------------------------------


def test_a_script_for_slurm_runs_as_it_is(alone: Command, folder: Path) -> None:
    (folder / "job.sh").write_text(f"#!/bin/sh\n#SBATCH -J mine --time=30\n#SBATCH --array=0-2 -p gpu\n{SHOW}")
    done = alone("run", "-q", "--sbatch", "job.sh", "x")
    assert (done.rc, sorted(done.lines)) == (0, ["0: mine|0|x", "1: mine|1|x", "2: mine|2|x"])


def test_our_lines_win_over_slurms_and_what_is_typed_over_both(alone: Command, folder: Path) -> None:
    (folder / "job.sh").write_text(f"#SBATCH -J slurms\n#CLB --name ours\n{SHOW}")
    assert alone("run", "-q", "--sbatch", "job.sh").text == "ours||\n"
    assert alone("run", "-q", "--sbatch", "--name", "typed", "job.sh").text == "typed||\n"
    (folder / "job.sh").write_text(f"#CLB --name ours\n#SBATCH -J slurms\n{SHOW}")
    assert alone("run", "-q", "job.sh").text == "ours||\n"


def test_sbatch_needs_a_script(alone: Command) -> None:
    done = alone("run", "--sbatch", "--", "true")
    assert (done.rc, "`--sbatch` reads the lines of a script" in done.stderr) == (2, True)


# -- what is not read is told, once -----------------------------------------------------------------


def test_unread_lines_of_slurm_are_told_once_with_our_words(alone: Command, folder: Path) -> None:
    text = f"#!/bin/sh\n#SBATCH --mem=100 -t 5\n#SBATCH -p gpu\n{SHOW}"
    (told,) = remarks(alone, folder, text)
    assert told.endswith("`run --sbatch` reads them, or write `#CLB --mem 100M --time-limit 5m`")
    assert remarks(alone, folder, text, "-q") == []


def test_a_script_for_both_is_not_told_of_slurms_lines(alone: Command, folder: Path) -> None:
    assert remarks(alone, folder, f"#SBATCH --mem=100\n#CLB --mem 100M\n{SHOW}") == []


def test_what_could_not_be_taken_over_is_told(alone: Command, folder: Path) -> None:
    text = "#SBATCH -p gpu --mem=10\n: $SLURM_ARRAY_TASK_ID ${SLURM_CPUS_ON_NODE}\nfalse && srun ./a\n"
    not_taken, variables, srun = remarks(alone, folder, text, "--sbatch")
    assert not_taken.endswith("not taken over from its #SBATCH lines: `--partition=gpu` (type `-g gpu`)")
    assert variables.endswith("SLURM_ARRAY_TASK_ID is CLBALANCE_TASK_ID, SLURM_CPUS_ON_NODE has no counterpart")
    assert "`srun` starts processes under Slurm only" in srun


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("# CLB --name a", "job.sh:1: `# CLB --name a` is not read: write `#CLB --name a`"),
        ("#clb --name a", "job.sh:1: `#clb --name a` is not read: write `#CLB --name a`"),
        ("  #CLB --name a", "job.sh:1: `#CLB --name a` is not read: write `#CLB --name a`"),
        ("#CLB: --name a", "job.sh:1: `#CLB: --name a` is not read: write `#CLB --name a`"),
        ("#CLB--name a", "job.sh:1: `#CLB--name a` is not read: write `#CLB --name a`"),
        (":\n#CLB --name a", "job.sh:2: `#CLB --name a` is not read: it stands behind the first command"),
        ("#PBS -l walltime=1", "job.sh: its #PBS lines are not read: options stand in #CLB lines"),
        ("#BSUB -n 4", "job.sh: its #BSUB lines are not read: options stand in #CLB lines"),
        ("#$ -pe smp 4", "job.sh: its #$ lines are not read: options stand in #CLB lines"),
        ("# CLB --a\x1b[2J", "job.sh:1: `# CLB --a\\x1b[2J` is not read: write `#CLB --a\\x1b[2J`"),
    ],
)
def test_a_line_that_is_nearly_right_is_told_with_its_place(alone: Command, folder: Path, text: str, told: str) -> None:
    assert remarks(alone, folder, f"{text}\n:\n") == [f"clbalance: {told}"]


@pytest.mark.parametrize("text", ["# CLB is nice", "#clb", "# see clb --help", "echo '#SBATCH -J a'", "#CLBX --a"])
def test_other_comments_are_left_alone(alone: Command, folder: Path, text: str) -> None:
    assert remarks(alone, folder, f"{text}\n:\n") == []


def test_many_such_lines_are_counted(alone: Command, folder: Path) -> None:
    told = remarks(alone, folder, "".join(f"# CLB --name n{number}\n" for number in range(9)))
    assert (len(told), told[-1]) == (4, "clbalance: job.sh: 6 more such lines are not read")
