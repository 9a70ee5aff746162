"""The agent's main loop: reads requests and writes events until the client is gone."""

import os
import select
import sys

from clbalance.node.agent.fields import parse_request
from clbalance.node.agent.protocol import Channel, MisfitError, RefusedError, find_base, greet, refusal_of


class Agent:
    """Serves one client."""

    def __init__(self, channel: Channel, base: bytes) -> None:
        # Loaded after the hello was sent, while the client answers.
        from clbalance.node.agent.requests import Requests
        from clbalance.node.agent.session import Session

        self.channel = channel
        self.session = Session(channel, base)
        self.requests = Requests(self.session)

    def serve(self) -> None:
        """Run until the client is gone. Started jobs go on unless they are tied; other claims are dropped."""
        while not self.channel.over:
            self.listen()
            self.session.pump()
            self.channel.flush()
        self.session.give_up()

    def listen(self) -> None:
        """Wait for the client, a supervisor or the next look at a followed file, and handle it."""
        channel = self.channel
        poll = select.poll()
        if not channel.congested:
            poll.register(channel.requests.fd, select.POLLIN)
        poll.register(channel.out_fd, select.POLLOUT if channel.unsent else 0)
        linked = self.session.linked()
        for fd in linked:
            poll.register(fd, select.POLLIN)
        feeding = self.session.feeding()
        for fd, job in feeding.items():
            poll.register(fd, select.POLLOUT if job.input is not None and job.input.unwritten else 0)
        for fd, events in poll.poll(self.session.patience_ms()):
            if fd == channel.requests.fd:
                for line in channel.requests.receive():
                    self.answer(line)
            elif fd == channel.out_fd:
                channel.broken = channel.broken or bool(events & ~select.POLLOUT)
            elif fd in feeding:
                self.session.feed(feeding[fd])
            else:
                self.session.hear(linked[fd])

    def answer(self, line: "bytes | None") -> None:
        """Carry out one request. Its errors are sent as events."""
        op = name = ""
        try:
            request = parse_request(line)
            op, name = request["op"], request.get("job", "")
            if op in ("claim", "settle", "status") or name not in self.session.refused:
                self.requests.ops[op](request)
        except MisfitError as misfit:
            self.channel.complain(str(misfit), name)
        except RefusedError as refusal:
            self.fail(op, name, refusal)
        except (OSError, ImportError) as error:
            self.fail(op, name or "node folder", refusal_of(error))

    def fail(self, op: str, name: str, refusal: RefusedError) -> None:
        """Report an error: as a refusal if the job was to be started here, else as an `error`."""
        if op == "claim" or self.session.may_start(name):
            self.session.refuse(name, refusal)
        else:
            self.channel.complain("%s: %s" % (name, refusal.reason) if name else refusal.reason, name)


def main() -> None:
    """Say hello, and serve until the client is gone."""
    if len(sys.argv) > 2:
        from clbalance.node.agent.owner import become

        become(int(sys.argv[2]))
    base = find_base()
    Agent(greet(base), base).serve()
    os._exit(0)  # nothing is left to be written; the end of an interpreter takes 3 ms
