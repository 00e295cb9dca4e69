"""The browser, and the hubs that it visits."""

import os
from collections.abc import Iterator

import pytest

from tests.support.browser import Browser, missing


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One for all tests. Where there is none they are skipped, but not where a push is judged."""
    if reason := missing():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with Browser(tmp_path_factory.mktemp("downloads")) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The same, which remembers nothing of the test before."""
    yield chromium
    chromium.forget()
