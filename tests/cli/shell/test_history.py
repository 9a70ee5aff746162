"""The file of typed lines."""

from pathlib import Path

from clbalance.cli.shell.history import FileHistory


def test_lines_come_back_as_they_were_typed_and_the_file_is_private(tmp_path: Path) -> None:
    told: list[str] = []
    path = tmp_path / "history"
    history = FileHistory(path, told.append)
    typed = ["uptime", "echo \u00e4\u2028\x0c\x85", "# last"]
    for line in (*typed[:2], " secret", "two\nlines", typed[2]):
        history.store_string(line)
    assert list(FileHistory(path, told.append).load_history_strings()) == typed[::-1]
    assert (path.stat().st_mode & 0o777, told) == (0o600, [])
