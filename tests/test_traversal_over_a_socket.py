"""No string that stands for a path leads out of the hub's folders, or out of an organisation.

Strings of `tests/support/traversal.py` are sent to a hub of its own, as they stand, wherever a URL has a
parameter; `tests/stress/test_traversal.py` tries hundreds with every view and method.
"""

from collections import Counter
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

import pytest

from tests.support.features import HAS_ARTIFACTS, needs_artifacts
from tests.support.hub import Hub
from tests.support.intruder import Intruder, beginnings, holes
from tests.support.process import Wire
from tests.support.traversal import STRINGS

pytestmark = pytest.mark.long

METHODS = ("GET", "PUT", "GET", "DELETE", "GET", "POST", "GET", "HEAD")
# Each parameter gets a share of the strings, and each string goes into a share of the parameters.
SHARE, SOME = 25, STRINGS[::100]


@pytest.fixture(scope="module")
def intruder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intruder]:
    with Intruder(tmp_path_factory.mktemp("around")) as intruder:
        yield intruder


def is_text(string: str) -> bool:
    try:
        unquote_to_bytes(string).decode()
    except UnicodeDecodeError:
        return False
    return True


def test_there_are_enough_of_them(hub: Hub) -> None:
    assert len(STRINGS) >= 500
    assert len(holes(hub.registry.methods)) >= (60 if HAS_ARTIFACTS else 40)


def test_no_url_leads_outside(hub: Hub, intruder: Intruder) -> None:
    told: Counter[int] = Counter()
    with intruder.wire() as wire:
        for number, beginning in enumerate(beginnings(hub.registry.methods)):
            for at, string in enumerate(STRINGS[number % SHARE :: SHARE]):
                method = METHODS[(number + at) % len(METHODS)]
                url = beginning + string
                told[intruder.visit(wire, method, url)] += 1
    intruder.check_outside()
    assert set(told) <= {200, 204, 308, 400, 404, 405, 409, 414, 422}, told


@needs_artifacts
def test_below_a_product_nothing_but_a_name_leads_anywhere(intruder: Intruder) -> None:
    """What cannot be one, encoded or not, is not there; it does not lead back to what is above."""
    with intruder.wire() as wire:
        for at, string in enumerate(STRINGS):
            prefix = ("", "/api")[at % 2]
            # What is no text at all is refused before it is looked at.
            status = 404 if is_text(string) else 400
            for beginning in ("fetch/", "download/", "download/widget/"):
                url = f"{prefix}/product/{beginning}{string}"
                assert intruder.visit(wire, "GET", url) == status, url


def test_no_upload_leads_outside(intruder: Intruder) -> None:
    told: Counter[int] = Counter()
    with intruder.wire() as wire:
        for string in SOME:
            told.update(intruder.uploads(wire, string))
    intruder.check_outside()
    assert told[400] + told[422] > told[201], told


@needs_artifacts
def test_an_artifact_would_be_seen(intruder: Intruder) -> None:
    with Wire(intruder.hub.port, token=intruder.owner_token) as owner:
        answer = owner.ask("GET", "/product/download/owned/v1")
    with pytest.raises(AssertionError, match="owned"):
        intruder.check(answer, "owned")


def test_the_canaries_would_be_seen(intruder: Intruder) -> None:
    """What hunts find nothing by is worth nothing."""
    with intruder.hub.wire() as owner:
        answer = owner.ask("GET", "/api/packages/owned/versions/1/download")
    with pytest.raises(AssertionError, match="owned"):
        intruder.check(answer, "owned")
    stray = intruder.hub.folder / "stray.txt"
    stray.write_text("written by nobody")
    with pytest.raises(AssertionError):
        intruder.check_outside()
    stray.unlink()
    intruder.check_outside()
