"""The error of a call: message, hint what to type instead, and exit code."""

from clbalance.errors import ClbalanceError
from clbalance.lazy_dataclass import dataclass
from clbalance.render import messages
from clbalance.render.report import Display, Report
from clbalance.render.text import Json


@dataclass(frozen=True, slots=True)
class ErrorReport(Report):
    """The error of any verb. On standard output it is only printed as JSON."""

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
