"""Starting the run's server: from a ready copy, an archive, or anew; or taking a container or the person's own."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pytest_smartattend.errors import ServerFailed
from pytest_smartattend.evidence import run_directory
from pytest_smartattend.postgres import binaries as installed
from pytest_smartattend.postgres import cache, choosing, cluster, given, places, server, templates, watch
from pytest_smartattend.postgres.choosing import Choice, Wanted
from pytest_smartattend.postgres.cluster import Cluster
from pytest_smartattend.postgres.schema import EmptySchema, Schema

_WATCHED = ("fsync", "synchronous_commit", "full_page_writes", "wal_level", "autovacuum", "data_checksums")


class Start:
    """One start of a run's server, by one process, under the run's lock.

    Args:
        choice: what to start.
        wanted: what the person asked for.
        run: the run's id, twelve characters.
        folders: of the run, the fastest first.
    """

    def __init__(self, choice: Choice, wanted: Wanted, run: str, folders: Sequence[Path]) -> None:
        self._choice = choice
        self._wanted = wanted
        self._run = run
        self._folders = folders

    def running(self, schema: Schema | None) -> server.Running:
        """Start it.

        Raises:
            ServerFailed, SchemaFailed, NoServerFound, UnsafeTarget: see the message.
        """
        if self._choice.provider == "url":
            return self._take_given()
        if self._choice.provider == "container":
            return self._take_container()
        return self._start_local(schema)

    def _start_local(self, given_schema: Schema | None) -> server.Running:
        schema = None if isinstance(given_schema, EmptySchema) else given_schema
        binaries, identity = self._choice.binaries, self._choice.identity
        assert binaries is not None
        assert identity is not None
        place = places.choose(self._folders)
        home = cache.home()
        notes = [*place.notes, *([] if home else ["no cache folder can be written to: every run makes its cluster"])]
        if identity.is_other_user:
            notes.append(f"the server runs {identity.why}")
        programs = installed.readable_by(binaries, identity)
        preloaded = tuple(name for name in cluster.PRELOADED if name in self._wanted.extensions)
        made = Cluster(programs, identity, place.folder / "pg", place.sockets / "pg", self._wanted.locale, preloaded)
        clusters = cache.ClusterCache(home, run_directory.user_folder(place.folder.parent.parent) / "ready")
        plain = _key(made)
        key = f"{plain}-{templates.key_of(schema)}" if schema else plain
        if words := clusters.next_copy(key):
            watch.order(words, self._folders[-1])
        made.make_home()
        running = server.Running(
            provider=self._choice.provider,
            version=binaries.version,
            why=self._choice.why,
            where=str(made.home),
            host=str(made.sockets),
            port=cluster.PORT,
            user=cluster.SUPERUSER,
            runs=identity.why,
            place=str(place.folder),
            template=templates.name_of(schema, "smartattend_") if schema else "",
            notes=tuple(notes),
        )
        origin, pid = _bring_up(made, clusters, plain, key, schema, running)
        return _looked_at(replace(running, origin=origin, pid=pid), self._wanted)

    def _take_given(self) -> server.Running:
        url = self._wanted.postgres
        running = server.Running("url", "0", self._choice.why, given.without_password(url), "", 0, "", url=url)
        with server.connect(running) as connection:
            given.admit(connection, url, self._wanted.allow_host)
            given.lock(connection, self._run)
            given.drop_dead(connection)
            info = connection.info
            running = replace(running, host=info.host, port=info.port, user=info.user, origin="yours")
        return _looked_at(running, self._wanted)

    def _take_container(self) -> server.Running:
        from pytest_smartattend.postgres.container import start

        running = start(self._wanted, self._run, self._folders[-1], self._choice.why)
        return _looked_at(running, self._wanted)


def _key(made: Cluster) -> str:
    """Everything that decides what a new cluster's files are."""
    major = made.binaries.major
    words = [
        made.binaries.fingerprint(),
        made.identity.kind,
        str(made.identity.uid),
        *cluster.initdb_words(major, made.locale),
        *(f"{name}={value}" for name, value in sorted(cluster.settings_for(major).items())),
    ]
    return f"{made.binaries.version}-{hashlib.sha256(chr(0).join(words).encode()).hexdigest()[:16]}"


def _bring_up(
    made: Cluster, clusters: cache.ClusterCache, plain: str, key: str, schema: Schema | None, running: server.Running
) -> tuple[str, int]:
    """Have the server run with its schema, by the shortest way that works.

    Returns:
        how the cluster came about, and the server's process id.
    """
    if found := _started_from_cache(made, clusters, key):
        return found
    with clusters.building(key):
        if found := _started_from_cache(made, clusters, key):  # another run built it meanwhile
            return found
        pid = _started_plain(made, clusters, plain)
        if schema is not None:
            pid = _with_schema(made, clusters, key, schema, running, pid)
        return "new", pid


def _started_from_cache(made: Cluster, clusters: cache.ClusterCache, key: str) -> tuple[str, int] | None:
    """What the cache has: a ready copy, else an archive. What does not start is forgotten."""
    while origin := clusters.claim(key, made.data):
        try:
            return origin, made.start()
        except ServerFailed:
            shutil.rmtree(made.data, ignore_errors=True)
            if origin == "archive":
                clusters.discard(key)
                break  # a cache that cannot be written to would offer it for ever
    return None


def _started_plain(made: Cluster, clusters: cache.ClusterCache, plain: str) -> int:
    if found := _started_from_cache(made, clusters, plain):
        return found[1]
    made.initdb()
    clusters.publish(plain, made.data)
    return made.start()


def _with_schema(
    made: Cluster, clusters: cache.ClusterCache, key: str, schema: Schema, running: server.Running, pid: int
) -> int:
    """Add the template to the running new cluster, and keep the cluster with it for later runs."""
    try:
        with server.connect(running) as admin:
            templates.make(admin, running.dsn, schema, running.template)
    except BaseException:
        made.stop(pid)
        shutil.rmtree(made.data, ignore_errors=True)
        raise
    made.stop(pid, cleanly=True)
    clusters.publish(key, made.data)
    return made.start()


def _looked_at(running: server.Running, wanted: Wanted) -> server.Running:
    """Ask the running server what it is, and hold it against what was asked for.

    Raises:
        ServerFailed: it is not what was asked for, or a throwaway server came up with durability on.
    """
    with server.connect(running) as connection:
        # Not from the view pg_settings, which takes as long as half the start. Older servers lack some of the names.
        asked = ", ".join(f"current_setting('{name}', true)" for name in _WATCHED)
        values = connection.execute(f"SELECT {asked}").fetchone()
        settings = {name: str(value) for name, value in zip(_WATCHED, values or (), strict=True)}
        number = connection.info.server_version
        superuser = connection.info.parameter_status("is_superuser") == "on"
        offered = connection.execute("SELECT name FROM pg_available_extensions").fetchall() if wanted.extensions else []
    version = f"{number // 10000}.{number % 10000}"
    missing = sorted(set(wanted.extensions) - {name for (name,) in offered})
    if missing:
        raise ServerFailed(
            f"{running.where} has no extension {', '.join(missing)}. Install it there, or choose another server."
        )
    if not choosing.version_matches(version, wanted.version):
        raise ServerFailed(f"{running.where} is PostgreSQL {version}, not {wanted.version}. Choose another server.")
    if not running.url and settings.get("fsync") != "off":
        raise ServerFailed(
            f"The throwaway server {running.where} came up with fsync on. This is a defect of ours: report it."
        )
    return replace(running, version=version, superuser=superuser, settings=settings)
