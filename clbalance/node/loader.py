"""Imports the modules of a program from memory. This text is the first of a program that runs on a node.

It is followed by the modules' sources, packed, and a call of the program's `main` (clbalance/node/packing.py). Standard
library of Python 3.6.
"""

import sys

MYPY = False
if MYPY:
    from types import ModuleType
    from typing import Any


class ModulesInMemory:
    """Finds modules in `sources`, by their full names, and compiles each when it is first imported.

    A package has an empty source. Sources stay, so that an import that failed can be tried again.
    """

    def __init__(self, sources: "dict[str, str]") -> None:
        self.sources = sources

    def find_spec(self, name: str, path: object = None, target: object = None) -> "Any":
        source = self.sources.get(name)
        if source is None:
            return None
        module_spec: Any = type(sys.__spec__)  # `importlib.machinery` has it too, but would take a while to import
        return module_spec(name, self, is_package=not source)

    def create_module(self, spec: object) -> None:
        """None: an ordinary one."""

    def exec_module(self, module: "ModuleType") -> None:
        """Run the module. In tracebacks it has the path of its file here, and its line numbers."""
        name = module.__name__
        code = compile(self.sources[name], name.replace(".", "/") + ".py", "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102 - as any importer does
