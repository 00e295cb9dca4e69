"""No string that stands for a path leads out of the hub's folders, or out of an organisation.

The strings of `tests/support/traversal.py` are put wherever a URL or a body has a name; every string goes
into every place in `tests/stress/test_traversal.py`.
"""

from collections import Counter
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

import pytest

from tests.support.features import HAS_ARTIFACTS, needs_artifacts
from tests.support.intruder import Hole, Intruder, holes
from tests.support.traversal import STRINGS

# Each place gets a share of the strings.
SHARE = 50


@pytest.fixture(scope="module")
def intruder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Intruder]:
    intruder = Intruder(tmp_path_factory.mktemp("around"))
    yield intruder
    intruder.hub.registry.database.close()


def is_text(string: str) -> bool:
    try:
        unquote_to_bytes(string).decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.long
def test_no_url_leads_outside(intruder: Intruder) -> None:
    places = holes(intruder.hub)
    assert len(STRINGS) > 1000
    assert len(places) >= (60 if HAS_ARTIFACTS else 40)
    places += [Hole("GET", each, "") for each in ("/", "/api/", "/_ah/")]
    told = Counter(
        intruder.visit(hole, string)
        for number, hole in enumerate(places)
        for string in STRINGS[number % SHARE :: SHARE]
    )
    intruder.check_outside()
    assert set(told) <= {200, 204, 308, 400, 404, 405, 409, 410, 415, 422}, told


@needs_artifacts
def test_below_a_product_nothing_but_a_name_leads_anywhere(intruder: Intruder) -> None:
    for at, string in enumerate(STRINGS[::5]):
        for beginning in ("fetch/", "download/", "download/widget/"):
            url = f"{('', '/api')[at % 2]}/product/{beginning}{string}"
            # What is no text at all is refused before it is looked at.
            assert intruder.ask("GET", url).status_int == (404 if is_text(string) else 400), url


def test_no_upload_leads_outside(intruder: Intruder) -> None:
    told = Counter(status for string in STRINGS[::100] for status in intruder.uploads(string))
    intruder.check_outside()
    assert told[400] + told[422] > told[201], told


def test_an_answer_or_a_file_out_of_place_is_noticed(intruder: Intruder) -> None:
    urls = ["/api/packages/owned/versions/1/download"]
    urls += ["/product/download/owned/v1"] if HAS_ARTIFACTS else []
    for url in urls:
        with pytest.raises(AssertionError, match="owned"):
            intruder.ask("GET", url, by=intruder.owner)
    stray = intruder.folder / "hub" / "stray.txt"
    stray.write_text("written by nobody")
    with pytest.raises(AssertionError):
        intruder.check_outside()
    stray.unlink()
    intruder.check_outside()
