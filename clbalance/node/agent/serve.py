"""The conversation: lines in, events out, until the client goes away."""

import select

from clbalance.node.agent.fields import parse_request
from clbalance.node.agent.protocol import BASE, CHANNEL, Channel, MisfitError, RefusedError, refusal_of
from clbalance.node.agent.requests import Requests
from clbalance.node.agent.session import Session


class Agent:
    """Serves one client."""

    def __init__(self, channel: Channel, base: bytes) -> None:
        self.channel = channel
        self.session = Session(channel, base)
        self.requests = Requests(self.session)

    def serve(self) -> None:
        """What was started goes on when this process ends, unless it is tied; what was not is given up."""
        while not self.channel.over:
            self.listen()
            self.session.pump()
            self.channel.flush()
            self.session.load_prctl()
        self.session.give_up()

    def listen(self) -> None:
        """Wait for the client, the supervisors or the next look at a followed file, and take what has come."""
        channel = self.channel
        poll = select.poll()
        if not channel.congested:
            poll.register(channel.requests.fd, select.POLLIN)
        poll.register(channel.out_fd, select.POLLOUT if channel.unsent else 0)
        linked = self.session.linked()
        for fd in linked:
            poll.register(fd, select.POLLIN)
        for fd, events in poll.poll(self.session.patience_ms()):
            if fd == channel.requests.fd:
                for line in channel.requests.receive():
                    self.answer(line)
            elif fd == channel.out_fd:
                channel.broken = channel.broken or bool(events & ~select.POLLOUT)
            else:
                self.session.hear(linked[fd])

    def answer(self, line: "bytes | None") -> None:
        """Carry out one request; whatever is wrong with it becomes an event."""
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
        except OSError as error:
            self.fail(op, name or "node folder", refusal_of(error))

    def fail(self, op: str, name: str, refusal: RefusedError) -> None:
        """Only what was to be started here is refused: that another job could not be looked at says nothing of it."""
        if op == "claim" or self.session.may_start(name):
            self.session.refuse(name, refusal)
        else:
            self.channel.complain("%s: %s" % (name, refusal.reason) if name else refusal.reason, name)


if __name__ == "__main__":
    Agent(CHANNEL, BASE).serve()
