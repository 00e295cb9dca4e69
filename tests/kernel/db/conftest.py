"""Each database that a hub may have: what holds of rows holds on all of them."""

import pytest

import hubrepo
from hubrepo.kernel.db import Database
from tests.support.filled import DATABASES


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """The URL of a database with all tables."""
    return DATABASES[request.param](request, tmp_path)


@pytest.fixture(scope="session")
def migrations():
    """The folders of all migrations."""
    settings = {"hubrepo.database": "sqlite://", "hubrepo.blobs": "mem://"}
    return hubrepo.configure(settings).registry.migrations


@pytest.fixture
def database(url):
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def single(url):
    """The same, over one connection that all take in turn, without much time for it."""
    single = Database(url, 0.2, 1)
    yield single
    single.close()
