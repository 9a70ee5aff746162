"""What travels: the modules as they are, without what only people and mypy read, imported from memory when first needed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from clbalance.node import agent_source, files_source
from clbalance.node.loader import ModulesInMemory
from clbalance.node.packing import packed, sources_of

FOLDER = Path(__file__).parents[2]
SOURCES = {name: source for program in ("agent", "files") for name, source in sources_of(program).items() if source}


class Bare(ast.NodeTransformer):
    """Leaves out of a module what does not travel."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test) == "MYPY" else self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        return None if ast.unparse(node) == "MYPY = False" else node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        return ast.copy_location(ast.Assign([node.target], node.value), node) if node.value else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            node.value.value = ""
        return node


def statements(tree: ast.AST) -> list[tuple[int, str]]:
    """All statements with their lines."""
    return [(node.lineno, ast.unparse(node)) for node in ast.walk(tree) if isinstance(node, ast.stmt)]


@pytest.mark.parametrize("name", SOURCES)
def test_every_statement_travels_as_it_is_and_keeps_its_line(name: str) -> None:
    whole = ast.parse((FOLDER / name.replace(".", "/")).with_suffix(".py").read_text())
    travels = ast.parse(SOURCES[name])
    assert ast.dump(travels) == ast.dump(Bare().visit(whole))
    assert statements(travels) == statements(whole)


@pytest.mark.parametrize("program", ["agent", "files"])
def test_every_module_of_a_program_travels_and_nothing_else_of_ours_is_needed(program: str) -> None:
    files = [FOLDER / "clbalance/node/stdlib.py", *(FOLDER / "clbalance/node" / program).rglob("[!_]*.py")]
    sources = sources_of(program)
    names = {".".join(file.relative_to(FOLDER).with_suffix("").parts) for file in files}
    assert {name for name, source in sources.items() if source} == names
    for source in sources.values():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("clbalance"):
                assert node.module in sources


def run(sources: dict[str, str], main: str) -> subprocess.CompletedProcess[str]:
    text = packed({"made": "", **sources}, main)
    return subprocess.run([sys.executable, "-I", "-S", "-"], input=text, capture_output=True, text=True, check=False)


def test_a_module_is_compiled_when_it_is_first_needed_and_not_before() -> None:
    one = "def main():\n    print('up', flush=True)\n    from made.two import x\n"
    done = run({"made.one": one, "made.two": "x = 1\nthis is no Python\n"}, "made.one")
    assert done.stdout == "up\n"
    assert 'File "made/one.py", line 3, in main' in done.stderr
    assert 'File "made/two.py", line 2' in done.stderr


def test_a_module_that_could_not_be_loaded_can_be_loaded_later() -> None:
    one = """\
def main():
    import sys
    sys.modules["zlib"] = None
    try:
        import made.two
    except ImportError as error:
        print(error.name, "made.two" in sys.modules)
    del sys.modules["zlib"]
    import made.two
    print(made.two.x)
"""
    done = run({"made.one": one, "made.two": "import zlib\nx = 1\n"}, "made.one")
    assert (done.stdout, done.stderr) == ("zlib False\n1\n", "")


def test_modules_of_the_node_with_our_names_are_not_used(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made/__init__.py").write_text("raise RuntimeError")
    first = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n"
    text = first + packed({"made": "", "made.one": "def main():\n    print(__name__)\n"}, "made.one")
    done = subprocess.run([sys.executable, "-I", "-S", "-"], input=text, capture_output=True, text=True, check=True)
    assert done.stdout == "made.one\n"


def test_other_modules_are_left_to_python() -> None:
    assert ModulesInMemory({"made": ""}).find_spec("json") is None


@pytest.mark.parametrize("text", [agent_source(), files_source()], ids=["agent", "files"])
def test_what_travels_has_room_for_more(text: str) -> None:
    """Above 64 KiB bash would write it to a temporary file."""
    assert len(text) < 63 << 10
