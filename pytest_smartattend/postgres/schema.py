"""What makes a template database: nothing, SQL files, a command, or a Python function."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import shlex
import subprocess
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pytest_smartattend.errors import SchemaFailed, UsageError

_IGNORED = frozenset({"__pycache__", "node_modules", ".git", ".venv"})
_MOST_FILES = 2000


class Schema(Protocol):
    """Migrations, whatever they are written in."""

    @property
    def name(self) -> str:
        """For people and messages."""
        ...

    def digest(self) -> str:
        """Changes when the result may change. Equal digests share one template, also between runs."""
        ...

    def apply(self, dsn: str) -> None:
        """Migrate the fresh, empty database at `dsn`, whose user is the superuser (at a URL: its user).

        Raises:
            SchemaFailed: it did not apply.
        """
        ...


def _digest(*parts: str | bytes) -> str:
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8, "big") + data)
    return total.hexdigest()


@dataclass(frozen=True)
class EmptySchema:
    """No tables: a database as PostgreSQL makes it."""

    name: str = "empty"

    def digest(self) -> str:
        """Always the same."""
        return _digest("empty")

    def apply(self, dsn: str) -> None:
        """Nothing to do."""


@dataclass(frozen=True)
class SqlFiles:
    """SQL files, in the order given; of a folder its ``*.sql``, by name. Each file is one transaction of the server's.

    A file is sent as it is: psql's backslash commands and ``COPY … FROM STDIN`` are not SQL; use a `Command` with psql.
    """

    paths: tuple[Path, ...]
    name: str = "sql"

    def files(self) -> list[Path]:
        """The files that will be applied."""
        return [file for path in self.paths for file in (sorted(path.glob("*.sql")) if path.is_dir() else [path])]

    def digest(self) -> str:
        """Over the bytes of every file, in order; names do not count."""
        return _digest("sql", *(file.read_bytes() for file in self.files()))

    def apply(self, dsn: str) -> None:
        """Run every file.

        Raises:
            SchemaFailed: names the file, the line and the server's words.
        """
        import psycopg

        with psycopg.connect(dsn, autocommit=True) as connection:
            for file in self.files():
                text = file.read_bytes()
                if not text.strip():
                    continue
                try:
                    connection.execute(text)
                except psycopg.Error as problem:
                    raise SchemaFailed(_sql_failed(file, text, problem)) from problem


def _sql_failed(file: Path, text: bytes, problem: Exception) -> str:
    said = getattr(problem, "diag", None)
    position = getattr(said, "statement_position", None)
    where, statement = str(file), ""
    if position is not None:
        before = text.decode(errors="replace")[: int(position) - 1]
        where += f", line {before.count(chr(10)) + 1}"
        statement = text.decode(errors="replace")[before.rfind("\n") + 1 :].splitlines()[0].strip()
        statement = f"\n  {statement[:300]}"
    return f"{where}: {problem}{statement}\nCorrect it and run again."


@dataclass(frozen=True)
class Command:
    """A program such as Prisma, Knex, Flyway or Alembic, run in `root` with ``DATABASE_URL`` and none of our ``PG…``."""

    words: tuple[str, ...]
    root: Path
    name: str = "command"

    def digest(self) -> str:
        """Over the words, and every file that they name or that lies in a folder that they name or usually mean.

        A command's other inputs cannot be known; `_USUAL` lists what is looked for, and a word that names a file or a
        folder adds it (``command: sh migrate.sh db/changes``).
        """
        inputs = []
        for file in self._inputs():
            inputs += [str(file.relative_to(self.root)) if file.is_relative_to(self.root) else str(file)]
            inputs += [hashlib.sha256(file.read_bytes()).hexdigest()]
        return _digest("command", *self.words, *inputs)

    def _inputs(self) -> Iterator[Path]:
        named = [self.root / word.partition("=")[2] if "=" in word else self.root / word for word in self.words[1:]]
        program = self.root / self.words[0]
        seen = 0
        for path in dict.fromkeys((program, *named, *(self.root / name for name in _USUAL))):
            files = sorted(path.rglob("*")) if path.is_dir() and path != self.root else [path]
            for file in files:
                if file.is_file() and not _IGNORED.intersection(file.parts):
                    seen += 1
                    if seen > _MOST_FILES:
                        raise UsageError(
                            f"The command {shlex.join(self.words)!r} names more than {_MOST_FILES} files under {self.root}. "
                            "Name the folder of the migrations itself."
                        )
                    yield file

    def apply(self, dsn: str) -> None:
        """Run the command.

        Raises:
            SchemaFailed: it could not be run, or failed; carries the end of its output.
        """
        # libpq's own variables of this process could point the command at another database.
        variables = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        try:
            done = subprocess.run(
                list(self.words),
                cwd=self.root,
                env={**variables, "DATABASE_URL": dsn},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except OSError as problem:
            raise SchemaFailed(
                f"The schema's command cannot be run in {self.root}: {problem}. Is {self.words[0]} installed and on PATH?"
            ) from None
        if done.returncode != 0:
            output = done.stdout.decode(errors="replace").strip()[-3000:]
            raise SchemaFailed(
                f"{shlex.join(self.words)} (in {self.root}, DATABASE_URL={dsn}) ended with {done.returncode}:\n{output}\n"
                "Correct the migrations and run again."
            )


_USUAL = (
    "prisma", "migrations", "db/migrate", "db/migrations", "alembic", "alembic.ini", "sql", "schema.sql",
    "knexfile.js", "knexfile.ts", "flyway.conf", "atlas.hcl",
)  # fmt: skip


@dataclass(frozen=True)
class PythonFunction:
    """``module:function``, called with the DSN; an async function is run to its end."""

    module: str
    function: str
    name: str = "python"

    def digest(self) -> str:
        """Over the source of the module, or of every ``.py`` and ``.sql`` file of the package that it is in."""
        try:
            found = importlib.util.find_spec(self.module)  # imports the packages that it is in
        except Exception as problem:
            raise UsageError(self._not_imported(problem)) from problem
        if found is None or found.origin is None:
            raise UsageError(self._not_imported(ModuleNotFoundError(f"No module named {self.module!r}")))
        origin = Path(found.origin)
        package = "." in self.module or found.submodule_search_locations is not None
        files = (
            sorted(file for file in origin.parent.rglob("*") if file.suffix in {".py", ".sql"}) if package else [origin]
        )
        files = [file for file in files if not _IGNORED.intersection(file.parts)][:_MOST_FILES]
        return _digest("python", self.module, self.function, *(file.read_bytes() for file in files))

    def apply(self, dsn: str) -> None:
        """Call it.

        Raises:
            SchemaFailed: it raised, or is not there.
        """
        try:
            module = importlib.import_module(self.module)
        except Exception as problem:
            raise SchemaFailed(self._not_imported(problem)) from problem
        called = getattr(module, self.function, None)
        if called is None:
            raise SchemaFailed(
                f"The schema's module {self.module!r} has no function {self.function!r}. Correct smartattend_schema."
            )
        try:
            result = called(dsn)
            if hasattr(result, "__await__"):
                import asyncio

                asyncio.run(_finish(result))
        except Exception as problem:
            where = problem.__traceback__.tb_next if problem.__traceback__ else None  # without this frame of ours
            told = "".join(traceback.format_exception(type(problem), problem, where)).strip()[-3000:]
            raise SchemaFailed(
                f"The schema's function {self.module}:{self.function} raised {type(problem).__name__}: {problem}. "
                f"Correct the migrations and run again.\n{told}"
            ) from problem

    def _not_imported(self, problem: Exception) -> str:
        why = str(problem) if isinstance(problem, ImportError) else f"{type(problem).__name__}: {problem}"
        return (
            f"The schema's module {self.module!r} cannot be imported: {why}. If it is not found, say where it is with "
            'pythonpath = ["."] in the pytest configuration, or install it.'
        )


async def _finish(result: object) -> None:
    await result  # type: ignore[misc]


def parse_schema(text: str, root: Path) -> Schema:
    """The schema that the option's text means; relative paths are below `root`.

    Raises:
        UsageError: a file is missing, or a form is not known.
    """
    text = text.strip()
    if not text:
        return EmptySchema()
    kind, _, rest = text.partition(":")
    if kind == "command":
        try:
            words = shlex.split(rest)
        except ValueError as problem:
            raise UsageError(f"The schema {text!r} cannot be read: {problem}. Quote as in a shell.") from None
        if not words:
            raise UsageError("The schema 'command:' names no program. Give 'command: PROGRAM ARGS'.")
        return Command(tuple(words), root)
    if kind == "python":
        module, _, function = rest.strip().partition(":")
        if not module or not function.isidentifier():
            raise UsageError(f"The schema {text!r} is not 'python: package.module:function'.")
        return PythonFunction(module, function)
    return _sql_files([part.strip() for part in text.split(",") if part.strip()], root)


def _sql_files(names: Sequence[str], root: Path) -> SqlFiles:
    paths = tuple(root / name for name in names)
    schema = SqlFiles(paths)
    for path in paths:
        if not path.exists():
            raise UsageError(
                f"The schema's file {path} does not exist. Give SQL files or folders with commas, 'command: PROGRAM ARGS' or "
                "'python: package.module:function'."
            )
        if path.is_dir() and not any(path.glob("*.sql")):
            raise UsageError(f"The schema's folder {path} has no .sql files. Name another, or remove the option.")
    return schema
