"""A GPU tool for lab nodes: an `nvidia-smi` in POSIX sh that prints tables which the controller writes.

A file `hang` beside the tables makes it hang, deaf to SIGTERM as a real one in D state; a file `fail` makes it
print that file's text and exit with 9, as the real one does without its driver.
"""

import re
from collections.abc import Iterator

from clbalance.errors import UsageError
from clbalance.lab.layout import NodeFolder, replace_file
from clbalance.lab.load import MIB, GpuLoad, Load
from clbalance.sizes import parse_size

TOOL = "nvidia-smi"
GPU_QUERY = "uuid,index,name,memory.total,memory.used,utilization.gpu,temperature.gpu,driver_version"
APPS_QUERY = "gpu_uuid,pid,process_name,used_gpu_memory"
MODEL = "NVIDIA A100-SXM4-40GB"
MEM_TOTAL_BYTES = 40_960 * MIB
_DRIVER = "550.54.15"
_FIRST_PID = 400_000  # of the processes that are only told about

# No comma in a program's name: the tables are CSV without quotes, as nvidia-smi's are.
_GPU_LOAD = re.compile(r"(\d{1,3}):(\d{1,3})%?:([^:]+)(?::([A-Za-z0-9 ._/-]{1,80}))?")

_TOOL = """\
#!/bin/sh
# clbalance lab: answers two queries from tables.
tables='{tables}'
if [ -e "$tables/hang" ]; then
    trap '' HUP INT TERM
    exec sleep 86400
fi
if [ -e "$tables/fail" ]; then
    cat "$tables/fail" >&2
    exit 9
fi
for option; do
    case $option in
        --format=csv,noheader,nounits) ;;
        --query-gpu={gpu_query}) table=gpus ;;
        --query-compute-apps={apps_query}) table=apps ;;
        *)
            echo "the lab's nvidia-smi does not know: $option" >&2
            exit 2
            ;;
    esac
done
# No `cat`: half of a lab's nodes do this twice in every sweep, on one machine.
while IFS= read -r row; do
    printf '%s\\n' "$row"
done <"$tables/${{table:?no query}}.csv"
"""


def parse_gpu_load(text: str) -> GpuLoad:
    """`INDEX:USE%:MEM[:PROGRAM]`, such as `0:95%:30G:train.py`, or `UsageError`."""
    found = _GPU_LOAD.fullmatch(text)
    if found is None:
        raise UsageError(
            f"{text!r} is not the load of a GPU", hint="INDEX:USE%:MEM[:PROGRAM], like `0:95%:30G:train.py`"
        )
    mem_used_bytes = parse_size(found[3])
    if mem_used_bytes > MEM_TOTAL_BYTES:
        raise UsageError(f"a lab GPU has {MEM_TOTAL_BYTES // 2**30}G of memory, not {found[3]}")
    return GpuLoad(index=int(found[1]), use_pct=int(found[2]), mem_used_bytes=mem_used_bytes, process=found[4] or "")


def tool_text(folder: NodeFolder) -> str:
    """The node's `nvidia-smi`."""
    return _TOOL.format(tables=folder.gpu, gpu_query=GPU_QUERY, apps_query=APPS_QUERY)


def write_tables(folder: NodeFolder, gpus: int, load: Load) -> None:
    """What `nvidia-smi` answers from now on."""
    node = int(folder.name.removeprefix("node"))
    replace_file(folder.gpu / "gpus.csv", "".join(_gpu_rows(node, gpus, load)))
    replace_file(folder.gpu / "apps.csv", "".join(_app_rows(node, load)))


def _uuid(node: int, index: int) -> str:
    return f"GPU-{node:08x}-1ab0-4000-8000-{index:012x}"


def _gpu_rows(node: int, gpus: int, load: Load) -> Iterator[str]:
    for index in range(gpus):
        gpu = load.gpu(index)
        temperature_c = 30 + gpu.use_pct // 2
        yield (
            f"{_uuid(node, index)}, {index}, {MODEL}, {MEM_TOTAL_BYTES // MIB}, {gpu.mem_used_bytes // MIB}, "
            f"{gpu.use_pct}, {temperature_c}, {_DRIVER}\n"
        )


def _app_rows(node: int, load: Load) -> Iterator[str]:
    for gpu in load.gpus:
        if gpu.process:
            pid = _FIRST_PID + gpu.index
            yield f"{_uuid(node, gpu.index)}, {pid}, {gpu.process}, {gpu.mem_used_bytes // MIB}\n"
