"""A command on many nodes by asyncssh: with_asyncssh.py SSH_CONFIG COMMAND NODE..."""

import asyncio
import sys

import asyncssh


async def main(config: str, command: str, *nodes: str) -> None:
    async def one(node: str) -> str:
        async with asyncssh.connect(node, config=[config]) as connection:
            return str((await connection.run(command, check=True)).stdout)

    for node, answer in zip(nodes, await asyncio.gather(*map(one, nodes)), strict=True):
        sys.stdout.write(f"{node}: {answer}")


asyncio.run(main(*sys.argv[1:]))
