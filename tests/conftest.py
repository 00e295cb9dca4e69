"""Fixtures that all tests share, and the options that re-run them on another store."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.hub import Client, Hub

# The same examples in every run: a build that turns red was changed, not unlucky.
settings.register_profile("hub", deadline=None, derandomize=True)
settings.load_profile("hub")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--store",
        choices=["disk", "memory"],
        default="disk",
        help="where the hub under test keeps bytes",
    )
    parser.addoption(
        "--write", action="store_true", help="write the tables that are checked in anew"
    )


@pytest.fixture(scope="session")
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """One hub for all functional tests: each test brings organisations of its own."""
    store = {"blobs": "mem://"} if request.config.getoption("--store") == "memory" else {}
    hub = Hub.below(tmp_path_factory.mktemp("hub"), **store)
    yield hub
    hub.registry.database.close()


@pytest.fixture
def acme(hub: Hub) -> Client:
    """A service key's client in a fresh organisation."""
    return hub.organisation()


@pytest.fixture
def beta(hub: Hub) -> Client:
    """The same in another one."""
    return hub.organisation()
