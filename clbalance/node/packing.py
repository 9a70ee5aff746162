"""Packs a Python program for nodes into one text: an importer, and the modules that it imports from memory.

Below 64 KiB bash passes the text through a pipe; above, it would write a temporary file.
"""

import binascii
import re
import zlib
from collections.abc import Mapping
from pathlib import Path

_HERE = Path(__file__).parent
_TOP = _HERE.parents[1]

# Each begins with something that is found quickly: the agent is packed anew by each command that sends it.
_DOCSTRING = re.compile(r'\n( *)"""\S[^"]*(?:"[^"]+)*"""(?=\n)')
_COMMENT = re.compile(r"\n *# [^\n]*")
_COMMENT_AFTER_CODE = re.compile(r"  # [^\n]*")
_IMPORTS_OF_TYPES = re.compile(r"\nMYPY = False\nif MYPY:(?:\n| +[^\n]*)+")
_SIGNATURE = re.compile(r"\n( *def \w+\()(.*?)\)(?: -> [^\n]+)?:(?=\n)", re.DOTALL)
_ANNOTATION_OF_PARAMETER = re.compile(r'(?<=\w): (?:"[^"\n]*"|\w+)')
_ANNOTATION = re.compile(r'\n( *[\w.]+): (?:"[^"\n]*"|\w+)(?= = )')
_INDENTATION = re.compile(r"\n(?:    )+")

_RUN = """\
import binascii,zlib
sys.meta_path.insert(0,ModulesInMemory(dict(part.split("\\n",1) for part in \
zlib.decompress(binascii.a2b_base64("%s")).decode().split("\\0"))))
from %s import main
sys.exit(main())
"""


def packed(sources: Mapping[str, str], main: str) -> str:
    """The text that runs `main()` of the module `main`. `sources`: of all modules by their names, empty for packages.

    Base64, because nodes decode it in C: base85 would be 6 % shorter and take a millisecond more.
    """
    text = "\0".join(f"{name}\n{source}" for name, source in sources.items())
    modules = binascii.b2a_base64(zlib.compress(text.encode()), newline=False).decode()
    return loader_source() + _RUN % (modules, main)


def loader_source() -> str:
    """The importer's text."""
    return _blanked((_HERE / "loader.py").read_text(encoding="utf-8"))


def sources_of(program: str) -> dict[str, str]:
    """The sources of a program by the names of its modules. Those of packages are empty."""
    sources = {"clbalance": "", "clbalance.node": ""}
    for file in (_HERE / "stdlib.py", *sorted((_HERE / program).rglob("*.py"))):
        parts = file.relative_to(_TOP).with_suffix("").parts
        if parts[-1] == "__init__":
            sources[".".join(parts[:-1])] = ""
        else:
            sources[".".join(parts)] = _blanked(file.read_text(encoding="utf-8"))
    return sources


def _blanked(text: str) -> str:
    """A module's text without docstrings, comments and annotations, and indented by single spaces: half of it.

    Line numbers do not change.
    """
    text = _DOCSTRING.sub(lambda found: f'\n{found[1]}""' + "\n" * (found[0].count("\n") - 1), f"\n{text}")
    text = _COMMENT_AFTER_CODE.sub(_unless_in_text, _COMMENT.sub("\n", text))
    text = _IMPORTS_OF_TYPES.sub(lambda found: "\n" * found[0].count("\n"), text)
    text = _SIGNATURE.sub(lambda found: f"\n{found[1]}{_ANNOTATION_OF_PARAMETER.sub('', found[2])}):", text)
    pieces = _ANNOTATION.sub(r"\n\1", text).split('"""')
    pieces[::2] = [_INDENTATION.sub(lambda found: "\n" + " " * (len(found[0]) // 4), piece) for piece in pieces[::2]]
    return '"""'.join(pieces)[1:]


def _unless_in_text(found: re.Match[str]) -> str:
    """Nothing in place of a comment, but what might be a part of a text is kept."""
    before = found.string[found.string.rfind("\n", 0, found.start()) : found.start()]
    return found[0] if '"' in before and '"' in found[0] else ""
