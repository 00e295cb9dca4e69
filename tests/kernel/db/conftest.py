"""Each database that a hub may have: what holds of rows holds on all of them."""

import pytest

from hubrepo.kernel.db import Database
from tests.support.hub import Hub


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """An empty database's."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/hub.sqlite"
        return
    server = request.getfixturevalue("postgresql")
    url = server.fresh()
    yield url
    server.drop(url)


@pytest.fixture
def migrations(tmp_path):
    """The folders of all migrations."""
    hub = Hub.below(tmp_path / "of-its-own", database=f"sqlite:///{tmp_path}/other.sqlite")
    hub.registry.database.close()
    return hub.registry.migrations


@pytest.fixture
def database(request, url, tmp_path):
    """The rows of a hub."""
    hub = Hub.below(tmp_path, database=url)
    yield hub.registry.database
    hub.registry.database.close()


@pytest.fixture
def single(database, url):
    """The same, over one connection that all take in turn."""
    single = Database(url, 1, 1)
    yield single
    single.close()
