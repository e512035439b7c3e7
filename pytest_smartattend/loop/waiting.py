"""Who waits for what, in words: the part of an error that saves an hour."""

from __future__ import annotations

import asyncio
import re
from types import FrameType
from typing import Any

#: A library's own frames say little; the innermost few are enough to see what it waits for.
_INNERMOST = 4


def in_words(loop: asyncio.AbstractEventLoop) -> str:
    """Every unfinished task of `loop`: its name and its stack, from the outside in."""
    tasks = sorted((task for task in asyncio.all_tasks(loop) if not task.done()), key=_by_number)
    if not tasks:
        return "No task is waiting."
    return "Who waits:\n" + "\n".join(_task(task) for task in tasks)


def _by_number(task: asyncio.Task[Any]) -> tuple[str, int]:
    found = re.fullmatch(r"(.*?)(\d*)", task.get_name())
    assert found is not None
    return found[1], int(found[2] or 0)


def _task(task: asyncio.Task[Any]) -> str:
    frames = _chain(task.get_coro())
    shown = frames if len(frames) <= 2 * _INNERMOST else [*frames[:_INNERMOST], None, *frames[-_INNERMOST:]]
    lines = [f"  - {task.get_name()}"]
    for frame in shown:
        if frame is None:
            lines.append("      …")
        else:
            lines.append(
                f"      {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}{_query(frame)}"
            )
    return "\n".join(lines)


def _chain(coroutine: Any) -> list[FrameType]:  # noqa: ANN401
    """The frames of a suspended coroutine, from the outside in."""
    frames: list[FrameType] = []
    while coroutine is not None:
        for prefix in ("cr", "gi", "ag"):
            if hasattr(coroutine, f"{prefix}_frame"):
                frame = getattr(coroutine, f"{prefix}_frame")
                if frame is not None:
                    frames.append(frame)
                inner = getattr(coroutine, "gi_yieldfrom" if prefix == "gi" else f"{prefix}_await")
                break
        else:
            return frames
        coroutine = inner
    return frames


def _query(frame: FrameType) -> str:
    """What a database driver was asked, if this frame is one of its own and says it."""
    if not str(frame.f_globals.get("__name__", "")).startswith(("psycopg.", "asyncpg.")):
        return ""
    query = frame.f_locals.get("query")
    return f": {query!r:.200}" if isinstance(query, (str, bytes)) else ""
