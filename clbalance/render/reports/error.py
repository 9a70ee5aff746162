"""The error of a call: message, hint what to type instead, and exit code."""

from clbalance.errors import ClbalanceError, Mistake, PlaybookError
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
        error: dict[str, Json] = {
            "message": self.error.message,
            "hint": self.error.hint or None,
            "exit_code": int(self.error.exit_code),
        }
        if isinstance(self.error, PlaybookError):
            error["mistakes"] = [_mistake(one) for one in self.error.mistakes]
        return {"error": error}


def _mistake(one: Mistake) -> Json:
    return {
        "file": one.file,
        "line": one.line or None,
        "column": one.column or None,
        "path": one.path or None,
        "message": one.message,
        "hint": one.hint or None,
    }
