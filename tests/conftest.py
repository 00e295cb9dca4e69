"""Fixtures that all tests share, and the options that re-run them on another store or database."""

import gc
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from hubrepo.kernel.blobs import parallel
from tests.support.hub import Client, Hub
from tests.support.leaks import secrets_below
from tests.support.nginx import missing as nginx_is_missing
from tests.support.postgres import PASSWORD, Databases, PostgreSQL, missing
from tests.support.process import HubProcess
from tests.support.s3 import SECRET, S3Server, ceph_is_missing, credentials
from tests.support.s3 import ceph as run_ceph
from tests.support.s3 import moto as run_moto

# The same few examples at every push: a build that turns red was changed, not unlucky. `make stress` asks for
# more by EXAMPLES, and for new ones.
examples = os.environ.get("EXAMPLES")
settings.register_profile(
    "hub", deadline=None, derandomize=examples is None, max_examples=int(examples or 40)
)
settings.load_profile("hub")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--store",
        choices=["disk", "s3", "memory"],
        default="disk",
        help="where the hub under test keeps bytes",
    )
    parser.addoption(
        "--database",
        choices=["sqlite", "postgresql"],
        default="sqlite",
        help="where hubs under test keep rows",
    )
    parser.addoption(
        "--write", action="store_true", help="write the tables that are checked in anew"
    )


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An S3 server that believes everybody, and its credentials in the environment."""
    with run_moto() as server, credentials(server):
        yield server


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server that checks signatures. Where there is none tests are skipped, but not in CI."""
    if reason := ceph_is_missing():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with run_ceph(tmp_path_factory.mktemp("ceph")) as server, credentials(server):
        yield server


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Archives tell when they were made: by their bytes the processes would have tests of other names."""
    return argname if isinstance(val, bytes) and len(val) > 64 else None


# Before pytest-xdist reads the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave tests that need Ceph to `make stress` and to one worker. The long searches begin first."""
    items.sort(key=lambda each: "stress" not in each.path.parts)

    for each in items:
        params = getattr(each, "callspec", None)
        if "ceph" in each.fixturenames or (params and "ceph" in params.params.values()):  # type: ignore[attr-defined]
            each.add_marker(pytest.mark.stress)
            each.add_marker(pytest.mark.xdist_group("ceph"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """One server for all tests. Where there is none they are skipped, but not where a push is judged."""
    if reason := missing():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with PostgreSQL() as server:
        yield server
        server.stop()
        assert list(secrets_below(server.folder)) == []


def pytest_collection_finish() -> None:
    """Thousands of tests stay to the end: the collector of garbage need not look through them each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def nothing_keeps_a_secret_in_clear(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """After the last test: no log, database, backup or export has one, whatever went on before."""
    yield
    known = (SECRET.encode(), PASSWORD.encode())
    assert list(secrets_below(tmp_path_factory.getbasetemp(), known)) == []


@pytest.fixture
def seed(capsys: pytest.CaptureFixture[str]) -> int:
    """What all dice of a hunt are thrown by: SEED, or another one each time."""
    seed = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
    with capsys.disabled():
        print(f"\nseed {seed}")
    return seed


@pytest.fixture(scope="module")
def hangups_are_heard() -> Iterator[None]:
    """What `nohup` starts ignores them, and so does all that it starts in turn."""
    usual = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, usual)


@pytest.fixture(scope="session")
def nginx_is_here() -> None:
    """Where there is no nginx tests of what is shipped for it are skipped, but not where a push is judged."""
    if reason := nginx_is_missing():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def databases(request: pytest.FixtureRequest) -> Iterator[Databases | None]:
    """The databases of hubs that were told no other; None: each keeps its rows in a file of SQLite."""
    if request.config.getoption("--database") == "sqlite":
        yield None
        return
    databases = Databases(request.getfixturevalue("postgresql"))
    usual, Hub.rows_below = Hub.rows_below, databases.below  # type: ignore[method-assign]
    yield databases
    Hub.rows_below = usual  # type: ignore[method-assign]
    databases.close()


@pytest.fixture(autouse=True)
def no_database_outlives_its_folder(
    request: pytest.FixtureRequest, databases: Databases | None
) -> Iterator[None]:
    """What a test made below its own folder ends with the test."""
    folder: Path | None = None
    if databases is not None and "tmp_path" in request.fixturenames:
        folder = request.getfixturevalue("tmp_path")
    yield
    if databases is not None and folder is not None:
        databases.drop_below(folder)


@pytest.fixture(scope="session")
def blobs(request: pytest.FixtureRequest) -> str | None:
    """The URL of the store that `--store` names, which nobody has used; None: below the hub's folder."""
    store = request.config.getoption("--store")
    if store == "s3":
        server: S3Server = request.getfixturevalue("s3")
        return server.url(f"{server.new_bucket()}/hub")
    return "mem://" if store == "memory" else None


@pytest.fixture(scope="session")
def hub(blobs: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """One hub for all functional tests: each test brings organisations of its own."""
    store = {} if blobs is None else {"blobs": blobs}
    hub = Hub.below(tmp_path_factory.mktemp("hub"), **store)
    yield hub
    hub.registry.database.close()


@pytest.fixture(autouse=True)
def nothing_is_tried_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test breaks stays broken: commands need not come back to it."""
    monkeypatch.setattr(parallel, "PATIENCE", 0.0)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub in a process of its own, shared by all tests of a worker that do not stop or break it.

    `server.organisation(slug)` makes a tenant for one module or test.
    """
    with HubProcess(tmp_path_factory.mktemp("server")) as process:
        yield process


@pytest.fixture
def acme(hub: Hub) -> Client:
    """A service key's client in a fresh organisation."""
    return hub.organisation()


@pytest.fixture
def beta(hub: Hub) -> Client:
    """The same in another one."""
    return hub.organisation()
