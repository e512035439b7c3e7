"""Fixtures of the room `target`: the platform, its tenants, its paths. Suites use the private names."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pytest

from pytest_smartattend.errors import NotOffered, SmartattendError
from pytest_smartattend.wiring import planting
from pytest_smartattend.wiring import run as run_wiring
from pytest_smartattend.wiring.evidence import about
from pytest_smartattend.wiring.postgres import keep_failed, note_database, plainly

if TYPE_CHECKING:
    from pytest_smartattend.evidence.record import Evidence
    from pytest_smartattend.loop.clock import LoopClock
    from pytest_smartattend.postgres.server import Server
    from pytest_smartattend.target.adapted import AdaptedPlatform
    from pytest_smartattend.target.client import Operation
    from pytest_smartattend.target.in_process import InProcessPlatform
    from pytest_smartattend.target.observer import Observer
    from pytest_smartattend.target.paths import Faults
    from pytest_smartattend.target.paths import Path as FaultPath
    from pytest_smartattend.target.people import Tenant
    from pytest_smartattend.target.platform import Platform
    from pytest_smartattend.target.reference_platform import ReferencePlatform

PLATFORM = pytest.StashKey[Any]()
_ASKING = pytest.StashKey[Sequence[pytest.Item]]()
#: the fixtures that need ``--smartattend-target``
PLATFORMS = frozenset(
    {"_smartattend_platform", "_smartattend_in_process", "_smartattend_discrete", "_smartattend_reference_drill"}
)


def pytest_configure(config: pytest.Config) -> None:
    """Say at once, and once, what is wrong with target or sabotage: what a worker of xdist says here is lost."""
    run = run_wiring.of(config)
    settings = run.settings
    if not run.is_controller or config.option.collectonly:
        return
    if settings.sabotage:
        from pytest_smartattend.sabotage import catalogue

        if settings.sabotage not in catalogue.by_name() and planting.own(settings) is None:
            raise pytest.UsageError(
                f"--smartattend-sabotage: there is no {settings.sabotage!r}. `smartattend prove --list` shows the "
                "catalogue; a defect of your own stands in the [[sabotages]] of --smartattend-scope."
            )
    if settings.target not in {"", "reference"}:
        from pytest_smartattend.wiring import adopted

        adopted.check(settings, config.rootpath)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a target, say so once and not for every check."""
    run = run_wiring.of(config)
    if config.option.collectonly or run.settings.target:
        return
    asks = [item for item in items if not PLATFORMS.isdisjoint(getattr(item, "fixturenames", ()))]
    if asks and run.is_controller:
        raise pytest.UsageError(_no_target(asks))
    if asks:  # a worker's error would be lost: one check is left, which says it
        config.stash[_ASKING] = asks
        config.hook.pytest_deselected(items=[item for item in items if item is not asks[0]])
        items[:] = asks[:1]


def _no_target(asks: Sequence[pytest.Item]) -> str:
    return (
        f"{len(asks)} of the collected tests need a platform to test, {asks[0].nodeid} for one. "
        "Say which: --smartattend-target=reference; or command, or url."
    )


def _reference(run: run_wiring.Run, server: Server) -> ReferencePlatform:
    from pytest_smartattend.target.reference_platform import ReferencePlatform
    from pytest_smartattend.target.reference_schema import ReferenceSchema

    settings = run.settings
    return ReferencePlatform(
        server,
        server.pool(ReferenceSchema()).take(),
        run.scratch("platform"),
        workers=settings.platform_workers,
        seed=settings.seed,
        sabotage=planting.shipped(settings),
    )


@pytest.fixture(scope="session")
def _smartattend_platform(request: pytest.FixtureRequest) -> Iterator[Any]:
    try:
        platform: Any = _started(request)
    except NotOffered:
        raise
    except (Exception, pytest.fail.Exception) as why:  # each of some hundred checks would say the same again
        run = run_wiring.of(request.config)
        request.session.shouldfail = run.stopped = _stopped(run.settings.target, why)
        if isinstance(why, SmartattendError):
            raise pytest.fail.Exception(str(why), pytrace=False) from None
        raise
    request.config.stash[PLATFORM] = platform
    about(request.config, "target", platform.describe())
    yield platform
    platform.stop()


def _stopped(target: str, why: BaseException) -> str:
    """Why no check runs, with its cause: it stands among the reasons of the verdict, where no check's error is shown."""
    verb = "answer" if target == "url" else "start"
    cause = next(iter(str(why).splitlines()), "") or type(why).__name__
    return f"the platform does not {verb}; no other check was begun: {cause[:200]}"


def _started(request: pytest.FixtureRequest) -> ReferencePlatform | AdaptedPlatform | Platform:
    run = run_wiring.of(request.config)
    if run.settings.target == "reference":
        return _reference(run, request.getfixturevalue("_smartattend_postgres"))
    from pytest_smartattend.wiring import adopted

    return adopted.started(request)


@pytest.fixture
def _smartattend_in_process(
    request: pytest.FixtureRequest, _smartattend_postgres: Server, _smartattend_clock: LoopClock
) -> Iterator[InProcessPlatform]:
    yield from _in_process(request, _smartattend_postgres, _smartattend_clock)


@pytest.fixture
def _smartattend_discrete(request: pytest.FixtureRequest, _smartattend_postgres: Server) -> Iterator[InProcessPlatform]:
    """On a clock that stands still during a request whatever ``--smartattend-clock`` says: a millisecond is exact."""
    from pytest_smartattend.loop.clock import LoopClock

    clock = LoopClock(seed=run_wiring.of(request.config).settings.seed)
    yield from _in_process(request, _smartattend_postgres, clock)


def _in_process(request: pytest.FixtureRequest, postgres: Server, clock: LoopClock) -> Iterator[InProcessPlatform]:
    config = request.config
    if run_wiring.of(config).settings.target != "reference":
        from pytest_smartattend.wiring import adopted

        served: Any = adopted.clocked(config, postgres, clock)
        yield served
        served.close()
        return
    with plainly():
        superuser = postgres.superuser
    if not superuser:
        raise NotOffered("a superuser in its database, who alone can replace the clock there")
    from pytest_smartattend.target.in_process import InProcessPlatform
    from pytest_smartattend.target.reference_schema import ReferenceSchema

    settings = run_wiring.of(config).settings
    with plainly():
        database = postgres.pool(ReferenceSchema()).take()
    platform = InProcessPlatform(
        database, clock, workers=settings.platform_workers, sabotage=planting.shipped(settings), seed=settings.seed
    )
    about(config, "target", platform.describe())
    note_database(request, database)
    yield platform
    platform.close()
    keep_failed(request, postgres, database, lambda: None)


@pytest.fixture
def _smartattend_discrete_tenants(
    _smartattend_discrete: InProcessPlatform, _smartattend_record: Callable[[Operation], None]
) -> Callable[..., Tenant]:
    def make(kind: str = "school") -> Tenant:
        return _smartattend_discrete.seed(kind, _smartattend_record)

    return make


@pytest.fixture
def _smartattend_discrete_faults(
    request: pytest.FixtureRequest, _smartattend_discrete: InProcessPlatform, _smartattend_evidence: Evidence
) -> Faults:
    return _faults(request, _smartattend_discrete.paths, _smartattend_evidence)


@pytest.fixture
def _smartattend_in_process_faults(
    request: pytest.FixtureRequest, _smartattend_in_process: InProcessPlatform, _smartattend_evidence: Evidence
) -> Faults:
    return _faults(request, _smartattend_in_process.paths, _smartattend_evidence)


@pytest.fixture(scope="session")
def _smartattend_seed(request: pytest.FixtureRequest) -> int:
    """The root of every random decision, as ``--smartattend-seed`` says."""
    return run_wiring.of(request.config).settings.seed


@pytest.fixture
def _smartattend_record(_smartattend_evidence: Evidence) -> Callable[[Operation], None]:
    def record(done: Operation) -> None:
        _smartattend_evidence.operation(done.method, done.path, done.status, done.outcome, done.seconds)

    return record


@pytest.fixture
def _smartattend_simulated_tenant(
    _smartattend_in_process: InProcessPlatform, _smartattend_record: Callable[[Operation], None]
) -> Tenant:
    return _smartattend_in_process.seed("school", _smartattend_record)


@pytest.fixture
def _smartattend_tenants(
    _smartattend_platform: ReferencePlatform, _smartattend_record: Callable[[Operation], None]
) -> Callable[..., Tenant]:
    def make(kind: str = "school") -> Tenant:
        return _smartattend_platform.seed(kind, _smartattend_record)

    return make


@pytest.fixture
def _smartattend_tenant(_smartattend_tenants: Callable[..., Tenant]) -> Tenant:
    return _smartattend_tenants()


@pytest.fixture
def _smartattend_observer(_smartattend_platform: ReferencePlatform) -> Observer:
    return _smartattend_platform.observer


@pytest.fixture
def _smartattend_faults(
    request: pytest.FixtureRequest, _smartattend_platform: ReferencePlatform, _smartattend_evidence: Evidence
) -> Faults:
    return _faults(request, _smartattend_platform.paths, _smartattend_evidence)


def _faults(request: pytest.FixtureRequest, paths: Mapping[str, FaultPath], evidence: Evidence) -> Faults:
    from pytest_smartattend.target.paths import Faults

    adopted = run_wiring.of(request.config).settings.target != "reference"
    return Faults(paths, evidence.fault, adopted=adopted)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """A check that asks for what the target has not got is not run, by name; the others' output begins here."""
    if asks := item.config.stash.get(_ASKING, None):
        pytest.fail(_no_target(asks), pytrace=False)
    platform = item.config.stash.get(PLATFORM, None)
    if platform is not None and hasattr(platform, "mark_output"):
        platform.mark_output()
    return (yield from _not_run())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """The same, where a check finds it out on its way."""
    return (yield from _not_run())


def _not_run() -> Generator[None, None, None]:
    try:
        return (yield)
    except NotOffered as lacking:
        pytest.skip(str(lacking))


@pytest.fixture
def platform(_smartattend_platform: ReferencePlatform) -> ReferencePlatform:
    """The platform under test."""
    return _smartattend_platform


@pytest.fixture
def tenants(_smartattend_tenants: Callable[..., Tenant]) -> Callable[..., Tenant]:
    """Makes tenants: ``tenants("corporate")``."""
    return _smartattend_tenants


@pytest.fixture
def tenant(_smartattend_tenant: Tenant) -> Tenant:
    """A new tenant with one person of each role."""
    return _smartattend_tenant


@pytest.fixture
def observer(_smartattend_observer: Observer) -> Observer:
    """Reads the database past the platform."""
    return _smartattend_observer


@pytest.fixture
def faults(_smartattend_faults: Faults) -> Faults:
    """Lays faults on the paths between the platform and its stores."""
    return _smartattend_faults


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:  # noqa: ANN401
    """Show the platform's log beside a failing check."""
    report = yield
    platform = item.config.stash.get(PLATFORM, None)
    if report.failed and platform is not None and "_smartattend_platform" in getattr(item, "fixturenames", ()):
        report.sections.append(("platform's log", platform.log_tail()))
    return report
