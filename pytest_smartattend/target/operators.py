"""What the operators of the reference platform do when a server is lost or damaged: their runbook, as code.

A drill of somebody else's platform runs somebody else's commands in its place (`trials.operator_command`).
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_smartattend.postgres.archive import Archive
from pytest_smartattend.postgres.backup import Backup
from pytest_smartattend.postgres.node import Node
from pytest_smartattend.postgres.recovery_target import END, RecoveryTarget
from pytest_smartattend.postgres.rewinding import rejoin
from pytest_smartattend.postgres.site import Site


class Operators:
    """The steps that a person or a controller takes.

    Args:
        site: the servers.
    """

    def __init__(self, site: Site) -> None:
        self.site = site

    def fence(self, node: Node) -> None:
        """Make certain that a server that is believed lost never answers again."""
        if node.running:
            node.kill()

    def elect(self, standbys: Sequence[Node]) -> Node:
        """The standby with the most WAL, once none of them receives any more, and the others already told to follow it."""
        new = self.site.elect(standbys)
        for node in standbys:
            if node is not new:
                node.follow(new, wait=False)
        return new

    def promote(self, node: Node) -> int:
        """Make it the primary. Returns its timeline."""
        return node.promote()

    def rejoin(self, node: Node, primary: Node) -> None:
        """Bring the old primary back as a standby."""
        rejoin(node, primary)

    def restore(self, name: str, backup: Backup, archive: Archive, target: RecoveryTarget = END) -> Node:
        """A new server from a backup and the WAL behind it."""
        return self.site.restore(name, backup, archive, self.target(target))

    def target(self, target: RecoveryTarget) -> RecoveryTarget:
        """How far is replayed when `target` is meant."""
        return target
