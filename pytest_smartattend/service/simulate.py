"""``python -m pytest_smartattend.service.simulate``: the process of one simulation. Reads its order from standard input."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pytest_smartattend.service.progress import tell
from pytest_smartattend.service.simulations import Part, timed
from pytest_smartattend.service.stage import Stage

RESULT = "result.json"


def main() -> int:
    """Run the parts, in sequence or all at once; 0 where all passed, 1 otherwise."""
    order: dict[str, Any] = json.load(sys.stdin)
    parts = [_part(order, name, plain) for name, plain in order["stages"].items()]
    work = [
        (part, {name: value for name, value in order["parts"][part.name].items() if name != "seed"}) for part in parts
    ]
    with ThreadPoolExecutor(len(parts) if order["at_once"] else 1) as pool:
        done = list(pool.map(lambda one: timed(*one), work))
    path = Path(order["folder"]) / RESULT
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps({"parts": done}))
    draft.replace(path)
    return 0 if done and all(one["status"] == "passed" for one in done) else 1


def _part(order: dict[str, Any], name: str, plain: dict[str, Any]) -> Part:
    seed = order["parts"][name]["seed"]
    return Part(name, order["job"], order["base_url"], Stage.of(plain), order["dsn"], seed, tell)


if __name__ == "__main__":
    sys.exit(main())
