"""An error with a hint."""

from clbalance.errors import ExpressionError, NothingFitsError, UsageError
from clbalance.render.report import Report
from clbalance.render.reports.error import ErrorReport
from tests.render.examples import Example

_ERROR = NothingFitsError("0/12 nodes fit: 5 load above 1.00, 7 silent", hint="`clbalance load` shows them")
EXAMPLES = (Example("error", (ErrorReport(_ERROR),)),)


def hostile(one: str, other: str) -> list[Report]:
    return [ErrorReport(UsageError(one, hint=other)), ErrorReport(ExpressionError(one, text=other, at=1))]
