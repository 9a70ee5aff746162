"""The patterns that name the output files of a job. Most jobs have none (docs/design/startup.md)."""

from typing import TYPE_CHECKING

from clbalance.lazy_dataclass import dataclass
from clbalance.model.job import Submitted

if TYPE_CHECKING:
    from clbalance.render.output.files import FileNames


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePatterns:
    """The patterns of a job's output files; both None: no files."""

    output: str | None
    error: str | None

    @classmethod
    def of(cls, submitted: Submitted) -> "FilePatterns":
        """Those that a job was submitted with."""
        return cls(output=submitted.output, error=submitted.error)

    @property
    def any(self) -> bool:
        """Whether there is any file."""
        return self.output is not None or self.error is not None

    def names(self, job: int, attempt: int) -> "FileNames":
        """The names of the files of one attempt."""
        from clbalance.render.output.files import FileNames

        return FileNames(job_id=job, attempt=attempt, output=self.output, error=self.error)
