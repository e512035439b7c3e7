"""``smartattend init``: the files with which an adopter begins. Nothing that exists is overwritten."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_smartattend.errors import UsageError
from pytest_smartattend.readiness import requirements

_TEMPLATES = Path(__file__).parent / "target" / "adapters"
#: file → the template of which it is a copy
FILES = {
    "smartattend-adapter.toml": "new-adapter.toml",
    "readiness.toml": "new-readiness.toml",
    ".github/workflows/readiness.yml": "new-workflow.yml",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), help="the project's folder; default: this one")


def run(arguments: argparse.Namespace) -> int:
    """Write what is not there; 0."""
    folder: Path = arguments.folder
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder. Make it, or name your project's.")
    for name, template in FILES.items():
        path = folder / name
        if path.exists():
            print(f"kept     {path}")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (_TEMPLATES / template).read_text("utf-8").replace("@requirements@", requirements.load().version)
        with path.open("x", encoding="utf-8") as file:  # also when two begin at once, nothing is overwritten
            file.write(text)
        print(f"written  {path}")
    print("Next: say in the adapter how your platform says what the contract says, then `smartattend conform --help`.")
    return 0
