"""What the value of a fixture offers, from its class: attributes, properties and methods with their first sentence."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator

#: of the plugin itself, which makes and ends the values; nothing for a test to call
_OWN = {"close", "keep", "running", "describe"}
_ATTRIBUTES = re.compile(r"^Attributes:\n((?:[ ]{4}.*\n?|\n)+)", re.MULTILINE)
_ATTRIBUTE = re.compile(r"^(\w+): ((?:.*)(?:\n[ ]+.*)*)", re.MULTILINE)


def class_of(kind: str, module: str, tree: ast.Module) -> type | None:
    """The class that a fixture of `module` is annotated with; None where it is a function or of another package."""
    imports = {
        name.asname or name.name: (node.module, name.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for name in node.names
    }
    home, name = imports.get(kind, (module, kind))
    found = getattr(importlib.import_module(home), name, None)
    return found if isinstance(found, type) and found.__module__.startswith("pytest_smartattend.") else None


def members(kind: type) -> list[str]:
    """Rows of a table: name with signature, and what it is."""
    rows = dict(_attributes(kind))
    for name, member in inspect.getmembers(kind):
        if name.startswith("_") or name in _OWN or not member.__doc__:
            continue
        if isinstance(member, property):
            rows[name] = _row(name, member.__doc__)
        elif inspect.isfunction(member):
            rows[name] = _row(_signed(name, member), member.__doc__)
    call = kind.__dict__.get("__call__")
    if call is not None:
        rows[""] = _row(_signed("", call), call.__doc__ or "")
    return [rows[name] for name in sorted(rows)]


def _attributes(kind: type) -> Iterator[tuple[str, str]]:
    for one in reversed(kind.__mro__):
        section = _ATTRIBUTES.search(inspect.cleandoc(one.__doc__ or "") + "\n")
        for name, text in _ATTRIBUTE.findall(inspect.cleandoc(section[1]) if section else ""):
            yield name, _row(name, text)


def _signed(name: str, member: Callable[..., object]) -> str:
    """The call as the source has it, without `self`."""
    node = ast.parse(textwrap.dedent(inspect.getsource(member))).body[0]
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef), name
    takes = ast.unparse(node.args).removeprefix("self").removeprefix(", ")
    gives = ast.unparse(node.returns) if node.returns else "None"
    if any("contextmanager" in ast.unparse(one) for one in node.decorator_list):
        gives = re.sub(r"^(?:Async)?Iterator", "ContextManager", gives)
    return f"{'await ' if isinstance(node, ast.AsyncFunctionDef) else ''}{name}({takes}) -> {gives}"


def _row(name: str, text: str) -> str:
    first = " ".join(inspect.cleandoc(text).split("\n\n")[0].split())
    name, first = name.replace("|", "\\|"), first.replace("|", "\\|")
    return f"| `{name}` | {first} |"
