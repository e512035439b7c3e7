"""One durable server among others: promoted, re-pointed, waited for, compared."""

from __future__ import annotations

from pytest_smartattend.errors import ServerFailed
from pytest_smartattend.postgres.lsn import Lsn
from pytest_smartattend.postgres.postmaster import PATIENCE, Postmaster

# What a node holds safely: what it flushed itself, or received and flushed from another.
_LSN = """SELECT CASE WHEN pg_is_in_recovery()
    THEN greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) ELSE pg_current_wal_flush_lsn() END"""
_TIMELINE = """SELECT CASE WHEN pg_is_in_recovery()
    THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver), (SELECT timeline_id FROM pg_control_checkpoint()))
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END"""

# A receiver that is being ended, or one that begins, may still take what it is sent; and one that ends by itself is begun
# again until the settings are read.
_LEFT = """SELECT current_setting('primary_conninfo') = ''
    AND NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE backend_type = 'walreceiver')"""


class Node(Postmaster):
    """A server as one of several: a primary, a standby of one, or what a restore made."""

    def promote(self) -> int:
        """Make this standby a primary, and wait until it accepts writes.

        Its receiver should have been stopped before (`stop_receiving`): what lies in its socket is not received yet.

        Returns:
            the new timeline.
        """
        self.query("SELECT pg_promote(false)")  # which waits by itself in steps of 100 ms
        self.wait_until("SELECT NOT pg_is_in_recovery()", "accept writes after its promotion")
        return self.timeline()

    def follow(self, primary: Node, *, wait: bool = True) -> None:
        """Have this standby receive from `primary`, from now on and without a restart; `wait` until it does.

        Raises:
            ServerFailed: it does not receive; its log says why, as where the two have parted.
        """
        self.set(primary_conninfo=f"{primary.words} application_name={self.name} connect_timeout=2")
        if wait and self.running:
            self.await_streaming(primary)

    def await_streaming(self, primary: Node, patience: float = PATIENCE) -> None:
        """Wait until this standby receives from `primary`, and has what `primary` has now.

        That its receiver says ``streaming`` is not enough: one that has parted from `primary` says so too, for an
        instant in each of its attempts.
        """
        self.wait_until(
            "SELECT EXISTS (SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming' AND sender_port = %s"
            " AND received_tli = %s AND greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) >= %s::pg_lsn)",
            f"receive from {primary.name}",
            [primary.port, primary.timeline(), str(primary.lsn())],
            patience,
        )

    def stop_receiving(self) -> Lsn:
        """Leave the primary, so that nothing can be acknowledged on this node's word any more.

        Returns:
            where what it holds ends, with all that its receiver had been sent. Only now can nodes be compared.
        """
        self.set(primary_conninfo="")
        self.wait_until(_LEFT, "leave its primary")
        return self.lsn()

    def await_quorum(self, quorum: str) -> None:
        """Wait until commits here wait for `quorum`, which ``synchronous_standby_names`` was set to.

        Sessions read the setting first, and their commits wait when the checkpointer has read it too (syncrep.c,
        ``sync_standbys_defined``). A connection is accepted only when the postmaster has told everybody to read, and
        the checkpointer reads before it begins a checkpoint.
        """
        self.wait_until("SELECT current_setting('synchronous_standby_names') = %s", "know its quorum", [quorum])
        with self.connect() as fresh:
            fresh.execute("CHECKPOINT")

    def become_standby(self, primary: Node) -> None:
        """Mark the stopped node's data as a standby's, of `primary`."""
        (self.data / "standby.signal").touch()
        self.follow(primary, wait=False)

    def lsn(self) -> Lsn:
        """Where the WAL ends that this node holds safely: flushed, or received and flushed."""
        return Lsn.parse(str(self.query(_LSN)[0][0]))

    def timeline(self) -> int:
        """The timeline on which this node is."""
        return int(self.query(_TIMELINE)[0][0])

    def parted_at(self, timeline: int) -> Lsn:
        """Where `timeline` left the one before it, by this node's own history file.

        Raises:
            ServerFailed: it has none for this timeline.
        """
        try:
            lines = (self.data / "pg_wal" / f"{timeline:08X}.history").read_text().splitlines()
        except OSError as problem:
            raise ServerFailed(
                f"The node {self.name} knows no timeline {timeline}: {problem}. Ask the primary."
            ) from None
        return Lsn.parse([line.split() for line in lines if line[:1].isdigit()][-1][1])

    def catch_up_with(self, lsn: int) -> None:
        """Wait until this standby has replayed to `lsn`, so that a query sees what was written before."""
        self.wait_until("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", f"replay to {Lsn(lsn)}", [str(Lsn(lsn))])

    def restore_point(self, name: str) -> Lsn:
        """Name this place in the WAL, to restore to. It is flushed: a bare one is lost in a crash that follows."""
        with self.connect() as connection:
            row = connection.execute("SELECT pg_create_restore_point(%s)", [name]).fetchone()
            connection.execute("SELECT pg_logical_emit_message(true, 'smartattend', %s)", [name])
        assert row is not None
        return Lsn.parse(str(row[0]))

    def digest(self, table: str, database: str = "postgres") -> str:
        """A hash over every row of `table`, whatever their order; equal on nodes that hold the same."""
        sql = f"SELECT md5(string_agg(h, '' ORDER BY h)) FROM (SELECT md5(t::text) AS h FROM {table} AS t) AS rows"
        return str(self.query(sql, database=database)[0][0])
