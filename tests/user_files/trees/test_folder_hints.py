"""A folder that cannot be used is refused with what to type instead."""

from pathlib import Path

import pytest

from clbalance.user_files.refusal import FileRefusedError
from clbalance.user_files.trees.writing import opened_folder


def test_a_folder_that_is_missing_is_to_be_made(tmp_path: Path) -> None:
    path = str(tmp_path / "no out")
    with pytest.raises(FileRefusedError) as caught, opened_folder(path):
        pass
    assert caught.value.hint == f"make it first: `mkdir -p '{path}'`"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileRefusedError) as caught, opened_folder(str(tmp_path / "file")):
        pass
    assert caught.value.hint == "a file is there; name a folder"
