"""What went wrong with a call: the exit code and, of any verb, what to type instead."""

from clbalance.errors import ClbalanceError
from clbalance.lazy_dataclass import dataclass
from clbalance.render import messages
from clbalance.render.report import Display, Report
from clbalance.render.text import Json


@dataclass(frozen=True, slots=True)
class ErrorReport(Report):
    """Of any verb; on standard output as JSON alone."""

    error: ClbalanceError

    def human(self, display: Display) -> str:
        return messages.error(self.error)

    def plain(self) -> str:
        return messages.error(self.error)

    def json(self) -> dict[str, Json]:
        return {
            "error": {
                "message": self.error.message,
                "hint": self.error.hint or None,
                "exit_code": int(self.error.exit_code),
            }
        }
