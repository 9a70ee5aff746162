"""The house stays in order: imports go one way, folders and files stay small enough to be read."""

import ast
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import clbalance

PACKAGE = Path(clbalance.__file__).parent
MOST_FILES = 20
MOST_LINES = 350


def test_no_file_is_imported_by_what_it_imports() -> None:
    assert list(circles(imports_of(PACKAGE))) == []


def test_no_folder_has_more_files_than_a_person_takes_in() -> None:
    count = Counter(file.parent.relative_to(PACKAGE).as_posix() for file in PACKAGE.rglob("*.py"))
    assert {folder: files for folder, files in count.items() if files > MOST_FILES} == {}


def test_no_file_is_too_long_to_be_read_at_once() -> None:
    lines = {file.relative_to(PACKAGE).as_posix(): len(file.read_text().splitlines()) for file in PACKAGE.rglob("*.py")}
    assert {file: count for file, count in lines.items() if count > MOST_LINES} == {}


def test_a_circle_is_found_also_where_a_function_imports(tmp_path: Path) -> None:
    package = made(
        tmp_path, one="from made.two import x", two="def f():\n    from made.three import x", three="import made.one"
    )
    assert list(circles(imports_of(package))) == [["made.one", "made.three", "made.two"]]


def test_a_circle_by_way_of_a_package_is_found(tmp_path: Path) -> None:
    package = made(tmp_path, __init__="from made.one import x", one="from made import x")
    assert list(circles(imports_of(package))) == [["made", "made.one"]]


def test_what_is_imported_for_types_alone_makes_no_circle(tmp_path: Path) -> None:
    package = made(tmp_path, one="if TYPE_CHECKING:\n    from made.two import x", two="from made import one")
    assert list(circles(imports_of(package))) == []


def made(folder: Path, **files: str) -> Path:
    """A package `made` of these files."""
    package = folder / "made"
    package.mkdir()
    for name, text in {"__init__": "", **files}.items():
        (package / f"{name}.py").write_text(text)
    return package


def imports_of(package: Path) -> Mapping[str, frozenset[str]]:
    """The modules of the package, and those of them that each imports, wherever in it."""
    names = {_name(file, package): file for file in package.rglob("*.py")}
    return {
        name: frozenset(
            module
            for module in map(_nearest(names), _imported(ast.parse(file.read_text())))
            if module not in ("", name)
        )
        for name, file in names.items()
    }


def _name(file: Path, package: Path) -> str:
    parts = file.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _nearest(names: Mapping[str, Path]) -> Callable[[str], str]:
    """`made.one.x` is a module, or something in `made.one`; the rest is none of ours."""
    return lambda wanted: next((name for name in (wanted, wanted.rpartition(".")[0]) if name in names), "")


def _imported(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.If(test=ast.Name(id="TYPE_CHECKING" | "MYPY")):
                continue
            case ast.ImportFrom(module=str(module), names=names):
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case _:
                yield from _imported(child)


def circles(imports: Mapping[str, frozenset[str]]) -> Iterator[list[str]]:
    """Each set of modules of which every one reaches every other."""
    reached = {name: _reached_from(name, imports) for name in imports}
    found = {frozenset(other for other in reached[name] if name in reached[other]) for name in imports}
    yield from sorted(sorted(one) for one in found if one)


def _reached_from(name: str, imports: Mapping[str, frozenset[str]]) -> frozenset[str]:
    seen: set[str] = set()
    left = [name]
    while left:
        new = imports[left.pop()] - seen
        seen |= new
        left += new
    return frozenset(seen)
