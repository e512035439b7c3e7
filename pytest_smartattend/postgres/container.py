"""The container provider: an image of PostgreSQL on an engine of this machine, by testcontainers.

Its own clean-up container is left out: it needs a second image, and a run is watched by the keeper anyway. The run's
container has a name that follows from the run's id and is written down before it exists, so that whoever finds a dead
run's folder knows what to remove.
"""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_smartattend.errors import ServerFailed
from pytest_smartattend.postgres import cluster, keeper

if TYPE_CHECKING:
    from pytest_smartattend.postgres.choosing import Wanted
    from pytest_smartattend.postgres.server import Running

_INSIDE = 5432
_DEADLINE = 120.0  # seconds from the container's start to its first answer
#: the parent of PGDATA in every official image, also since 18, which moved PGDATA one folder down
_DATA = "/var/lib/postgresql"
_HERE = frozenset({"localhost", "127.0.0.1"})
LABEL = "smartattend.run"


def lacks() -> str | None:
    """What keeps a container from being started here; None when nothing does."""
    if importlib.util.find_spec("testcontainers") is None:
        return "testcontainers is not installed: pip install 'pytest-smartattend[docker]'"
    host = urlsplit(_engine())
    if host.scheme not in {"unix", "tcp"} or (host.scheme == "tcp" and host.hostname not in _HERE):
        return f"the engine at {host.hostname or _engine()} is not on this machine"
    try:
        answer = keeper.ask_engine(_engine(), "GET /_ping").partition(b"\r\n")[0].decode(errors="replace")
    except (OSError, ValueError) as problem:
        return f"no engine answers at {_engine()} ({problem})"
    return None if " 200 " in f"{answer} " else f"what answers at {_engine()} is no engine ({answer or 'nothing'})"


def _engine() -> str:
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def start(wanted: Wanted, run: str, control: Path, why: str) -> Running:
    """Start the run's container and wait until it answers.

    Raises:
        ServerFailed: no image, or it ended; carries the container's log.
    """
    import docker
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    testcontainers_config.ryuk_disabled = True
    name = f"smartattend-{run}"
    (control / "container").write_text(f"{_engine()}\n{name}\n")
    made = DockerContainer(wanted.image).with_name(name).with_command(_command(wanted))
    made.with_env("POSTGRES_USER", cluster.SUPERUSER).with_env("POSTGRES_HOST_AUTH_METHOD", "trust")
    made.with_env("POSTGRES_INITDB_ARGS", f"--locale={wanted.locale} -E UTF8 --wal-segsize=1 -N")
    # Without a password, so for this machine only. The type knows no address; the engine's client does.
    made.ports[f"{_INSIDE}/tcp"] = ("127.0.0.1", None)  # type: ignore[assignment]
    made.tmpfs[_DATA] = "size=2g,mode=1777"
    made.with_kwargs(labels={LABEL: run})
    try:
        made.start()
    except docker.errors.ImageNotFound as problem:
        raise ServerFailed(
            f"There is no image {wanted.image}: {problem}. Pull it, or name another: --smartattend-postgres-image."
        ) from problem
    except docker.errors.DockerException as problem:
        raise ServerFailed(
            f"The engine could not start {wanted.image}: {problem}. Is the image there (docker pull {wanted.image})? "
            "Another is named with --smartattend-postgres-image."
        ) from problem
    try:
        return _answering(made, wanted, name, why)
    finally:
        made.get_docker_client().client.close()


def _command(wanted: Wanted) -> list[str]:
    # The image says its version only once it runs, so settings that not every version knows are left out.
    left_out = {"listen_addresses", "unix_socket_permissions", "dynamic_shared_memory_type"}
    words = ["postgres"]
    for name, value in cluster.SETTINGS.items():
        if name not in left_out:
            words += ["-c", f"{name}={value}"]
    return words


def _answering(made: Any, wanted: Wanted, name: str, why: str) -> Running:  # noqa: ANN401
    import psycopg

    from pytest_smartattend.postgres.server import Running

    container = made.get_wrapped_container()
    deadline = time.monotonic() + _DEADLINE
    while time.monotonic() < deadline:
        container.reload()
        bound = (container.ports or {}).get(f"{_INSIDE}/tcp")
        if container.status != "running":
            break
        if bound:
            port = int(bound[0]["HostPort"])
            running = Running(
                "container",
                "0",
                why,
                f"container {name} of {wanted.image}",
                "127.0.0.1",
                port,
                cluster.SUPERUSER,
                origin="new",
            )
            try:
                # While it sets itself up the image listens on its socket only, so an answer here is the real server's.
                psycopg.connect(running.dsn("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                pass
            else:
                return running
        time.sleep(0.02)
    container.reload()
    ended = container.status != "running"
    log = container.logs(tail=30).decode(errors="replace")
    container.remove(force=True, v=True)
    raise ServerFailed(
        f"The container of {wanted.image} {'ended' if ended else 'does not answer'}. The end of its log:\n{log}\n"
        "Is it an image of PostgreSQL? --smartattend-postgres-image names another."
    )
