"""Bringing a lost primary back as a standby of the one that took its place."""

from __future__ import annotations

from pytest_smartattend.errors import ServerFailed
from pytest_smartattend.postgres.node import Node


def rejoin(node: Node, primary: Node) -> str:
    """Rewind the stopped or killed `node` to where it and `primary` parted, and have it follow.

    What only `node` had is gone afterwards. Whether it worked is seen by its receiving from `primary`, never by
    pg_rewind's exit status: that is 0 also when it found nothing to do, because it read the control file of a primary
    that was promoted an instant ago.

    Returns:
        what pg_rewind said.

    Raises:
        ProgramFailed: pg_rewind is missing, or failed.
        ServerFailed: `node` runs, or does not receive from `primary` afterwards.
    """
    if node.running:
        raise ServerFailed(f"The node {node.name} still runs. Stop or kill it before it is rewound.")
    primary.query("CHECKPOINT")  # the new timeline must stand in the control file that pg_rewind reads
    if (node.data / "postmaster.pid").exists():
        # It was killed. pg_rewind would have it recover too, but with the settings in the data directory, by which
        # it recycles the very WAL that pg_rewind then looks for.
        configuration = f"config_file={node.configuration}"
        node.programs.run("postgres", "--single", "-D", node.data, "-c", configuration, "template1")
    source = f"{primary.words} dbname=postgres"
    said = node.programs.run("pg_rewind", "--target-pgdata", node.data, "--source-server", source)
    node.become_standby(primary)
    node.start()
    node.await_streaming(primary)
    return said
