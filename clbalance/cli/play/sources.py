"""The text of a playbook once more: the places of its mistakes, and the files that its steps copy."""

from pathlib import Path

from clbalance.cli.play.files import PlayText
from clbalance.model.playbook import CopyFiles
from clbalance.playbook.document import Document, read_document
from clbalance.playbook.problems import path_of, playbook_error


def document_of(read: PlayText) -> Document:
    """Its document, for the places of what is told: a run without mistakes does without."""
    return read_document(read.text.encode(), read.file)


def check_sources(read: PlayText) -> None:
    """`PlaybookError` with each file that a step would copy and that is not there."""
    playbook, folder = read.playbook, Path(read.folder)
    hint = f"a full path, or one that is relative to the playbook's folder, {folder}"
    missing = [
        ((*path_of(step.path), "copy", "src"), f"{source} is not there")
        for step in (*playbook.steps, *playbook.rollback)
        if isinstance(step.action, CopyFiles) and not step.is_ruled_out
        for source in step.action.sources
        if not (folder / source).exists()
    ]
    if missing:
        document = document_of(read)
        raise playbook_error(playbook.file, [document.problem(path, message, hint) for path, message in missing])
