import pytest

from tests.support.filled import STORES
from tests.support.hub import Hub


@pytest.fixture
def hub(request, tmp_path):
    """An empty hub for one test, on the store and database that the options name."""
    folder = tmp_path / "hub"
    folder.mkdir()
    blobs = STORES[request.config.getoption("--store")](request, folder)
    hub = Hub.below(folder, blobs=blobs)
    yield hub
    hub.registry.database.close()


@pytest.fixture
def database(hub):
    return hub.registry.database


@pytest.fixture
def stores(hub):
    return hub.registry.stores
