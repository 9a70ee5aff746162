"""A command on many nodes by parallel-ssh: with_parallel_ssh.py SSH_CONFIG COMMAND NODE..."""

import sys
from pathlib import Path

from pssh.clients import ParallelSSHClient


def main(config: str, command: str, *nodes: str) -> None:
    # It reads no ssh_config, so the lab's is read here: an address under each `Host`, the rest for all.
    words = [line.split() for line in Path(config).read_text().splitlines()]
    address = dict(
        zip(
            (line[1] for line in words if line[0] == "Host"),
            (line[1] for line in words if line[0] == "HostName"),
            strict=False,
        )
    )
    same = {line[0]: line[1] for line in words if len(line) == 2}
    key = same["IdentityFile"].replace("%r", same["User"])
    client = ParallelSSHClient(
        [address[node] for node in nodes],
        user=same["User"],
        port=int(same["Port"]),
        pkey=key,
        allow_agent=False,
        pool_size=len(nodes),
    )
    for node, output in zip(nodes, client.run_command(command, stop_on_errors=True), strict=True):
        sys.stdout.writelines(f"{node}: {line}\n" for line in output.stdout)
        if output.exit_code:
            sys.exit(output.exit_code)


main(*sys.argv[1:])
