"""Every hostile or odd archive, sent to the hub as a package and as a page: it gets its written verdict.

The verdicts are in `docs/archives.md`, which comes from the corpus: after a change that is meant, write
it anew by `pytest tests/test_archives.py --write`, and read its diff.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from hubrepo.kernel.base import nfc
from tests.support.hostile import CASES, CORPUS, INDEX, PATH, Case
from tests.support.hub import Client, Hub
from tests.support.process import PROJECT
from tests.support.readers import by_bsdtar, by_zipfile, check_by_unzip, missing_programs
from tests.support.walker import walk

TABLE = PROJECT / "docs" / "archives.md"
LONGEST = 150

INTRODUCTION = """# Archives

What becomes of hostile and odd archives, as a package and as a page. Each is made by code
(`tests/support/hostile`), sent to the hub by the tests, and has to get the answer that stands here. What is
served of an accepted package is written anew, in one form ([ADR 18](adr/018-one-form-of-archives.md)):
`unzip`, `bsdtar` and Python read the same names and bytes in it.

A reason stands behind `invalid package - ` in an answer with 400, and behind `invalid pages bundle - ` in
one with 422; that a file is too large is always 400, and all of the message. Names are shown as Python
writes them, long ones and long messages are cut here. Written by `pytest tests/test_archives.py --write`.

"""


@pytest.fixture(scope="module")
def owner(hub: Hub) -> Client:
    """Whose package and page take all that is accepted."""
    return hub.organisation()


@pytest.fixture(scope="module")
def others() -> Iterator[None]:
    """Other readers of archives. Where there are none a test is skipped, but not in CI."""
    if missing := missing_programs():
        reason = f"there is no {' and no '.join(missing)} (apt-get install unzip libarchive-tools)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return


def told(text: str) -> str:
    """A cell of the table."""
    half = LONGEST // 2
    return (text if len(text) <= LONGEST else f"{text[:half]} … {text[-half:]}").replace("|", "\\|")


def reason(why: str | None) -> str:
    """A verdict as a cell; messages have backticks of their own."""
    return "accepted" if why is None else f"``{told(why)}{' ' * why.endswith('`')}``"


def row(case: Case) -> str:
    """A line of the table."""
    page = "the same" if case.page and case.page == case.package else reason(case.page)
    return f"| `{case.id}` | {told(case.about)} | {reason(case.package)} | {page} |\n"


def table() -> str:
    """The page."""
    text = INTRODUCTION
    for name, cases in CORPUS.items():
        text += f"## {name}\n\n| | | Package | Page |\n|---|---|---|---|\n"
        text += "".join(map(row, cases)) + "\n"
    return text.removesuffix("\n")


def test_every_verdict_is_documented(pytestconfig: pytest.Config) -> None:
    if pytestconfig.getoption("--write"):
        TABLE.write_text(table(), encoding="utf-8")
    assert TABLE.read_text(encoding="utf-8") == table()


def test_there_are_hundreds_of_them_and_no_two_bear_one_name() -> None:
    assert len({case.id for case in CASES}) == len(CASES) > 400


def _param(case: Case) -> object:
    """Ten thousand members take everybody seconds."""
    return pytest.param(case, id=case.id, marks=[pytest.mark.stress] * (case.id == "crowd-most"))


@pytest.mark.parametrize("case", [_param(case) for case in CASES])
def test_an_archive_gets_its_verdict(
    owner: Client, others: None, case: Case, tmp_path: Path
) -> None:
    data = case.make()
    answer = owner.upload(f"/api/packages/{PATH}/versions", data, status="*")
    assert verdict(answer) == case.package_verdict
    if case.package is None:
        served = tmp_path / "served.zip"
        served.write_bytes(owner.download(PATH, answer.json["version"]))
        check_served(served, case)
    answer = owner.upload("/api/pages", data, status="*")
    assert verdict(answer) == case.page_verdict
    if case.page is None:
        held = case.held if case.shown is None else case.shown
        for name, content in (("index.html", INDEX), *held):
            check_shown(owner, name, content)


def verdict(answer: object) -> str:
    """What was answered, as the corpus tells it."""
    if answer.status_int == 201:  # type: ignore[attr-defined]
        return "accepted"
    return f"{answer.status_int} {answer.json['detail']}"  # type: ignore[attr-defined]


def check_served(path: Path, case: Case) -> None:
    """All read the same in it, and what was sent."""
    members = dict(walk(path.read_bytes()))
    if case.held:
        names = {"package.toml", "pages.toml", "index.html", "HISTORY.md", *dict(case.held)}
        assert set(members) == names
    assert members["index.html"] == INDEX
    assert dict(case.held).items() <= members.items()
    assert list(by_zipfile(path).items()) == list(members.items())
    assert by_bsdtar(path) == {nfc(name): content for name, content in members.items()}
    check_by_unzip(path, members)


def check_shown(owner: Client, name: str, content: bytes) -> None:
    """A visitor gets the file, and nobody gets a folder."""
    address = f"/pages/{owner.slug}/{PATH}/{quote(name, safe='/')}"
    answer = owner.hub.app().get(address, status="*")
    if name.endswith("/"):
        assert answer.status_int == 404
    else:
        assert (answer.status_int, answer.body) == (200, content)
