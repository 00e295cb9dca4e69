"""The corpus of hostile and odd archives: each gets its written verdict, as a package and as a page.

The verdicts are in `docs/archives.md`, which comes from the corpus: after a change that is meant, write
it anew by `pytest tests/test_archives.py --write`, and read its diff.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from hubrepo.features.packages.errors import InvalidPackage
from hubrepo.features.pages.errors import InvalidBundle
from hubrepo.kernel.archives.names import alike
from hubrepo.kernel.base import nfc
from tests.support.archives import read_zip
from tests.support.hostile import CASES, CORPUS, INDEX, MANIFEST, PATH, TOO_LARGE, Case
from tests.support.hostile.cases import beside
from tests.support.hostile.names import FINE, named
from tests.support.hostile.publishing import digest, package_of, page_of
from tests.support.hub import Client, Hub
from tests.support.process import PROJECT
from tests.support.readers import check_by_others, require_other_readers
from tests.support.walker import walk

TABLE = PROJECT / "docs" / "archives.md"
LONGEST = 150

INTRODUCTION = """# Archives

What becomes of hostile and odd archives, as a package and as a page. Each is made by code
(`tests/support/hostile`), published by the tests, and has to get the answer that stands here. What is
served of an accepted package is written anew, in one form ([ADR 18](adr/018-one-form-of-archives.md)):
`unzip`, `bsdtar` and Python read the same names and bytes in it.

A reason stands behind `invalid package - ` in an answer with 400, and behind `invalid pages bundle - ` in
one with 422; that a file is too large is always 400, and all of the message. Names are shown as Python
writes them, long ones and long messages are cut here. Written by `pytest tests/test_archives.py --write`.

"""
BY_ID = {case.id: case for case in CASES}
BEFORE_PACKAGE, BEFORE_PAGE = "invalid package - ", "invalid pages bundle - "

# One of each kind, to be sent through HTTP.
SENT = (
    "name-dotdot", "name-backslash", "name-cp437", "names-normal-form", "link", "crc",
    "content-is-an-archive", "hidden-between", "cut-data", "zip64-end-needed", "bomb-ratio",
    "crowd-claimed", "crowd-too-large", "manifest-largest", "quine",
)  # fmt: skip

# Accepted ones whose served form other programs read.
READ = (
    "name-cp437", "name-emoji", "name-query", "extra-unicode-path", "folder-deflated", "host-vms",
    "mode-set-user-id", "date-impossible", "descriptor-bare-wide", "comment-cp437",
    "zip64-end-before", "bomb-small",
)  # fmt: skip


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


def test_no_two_archives_have_one_name() -> None:
    assert len(BY_ID) == len(CASES) > 400


def outcome(publish: Callable[[bytes], Any], data: bytes) -> tuple[str | None, Any]:
    """Return why the archive is refused, or None and what is published of it."""
    try:
        return None, publish(data)
    except (InvalidPackage, InvalidBundle) as refusal:
        return str(refusal), None


def refusals(case: Case) -> tuple[str | None, str | None]:
    """Return why the archive is refused as a package and as a page, in full."""
    package, page = case.package, case.page
    return package and BEFORE_PACKAGE + package, page and BEFORE_PAGE + page


# The longest ones take seconds to be made, and to be read.
@pytest.mark.parametrize(
    "section", [pytest.param(name, marks=[pytest.mark.long] * (name == "Size")) for name in CORPUS]
)
def test_every_archive_gets_its_verdict(section: str) -> None:
    wrong = {}
    for case in CORPUS[section]:
        if case.package == TOO_LARGE:
            continue  # nobody looks into it
        data = case.make()
        package, served = outcome(package_of, data)
        page, files = outcome(page_of, data)
        if (package, page) != refusals(case):
            wrong[case.id] = (package, page)
        if served is not None:
            check_served(served, case)
        if files is not None:
            check_shown(files, case)
    assert wrong == {}


def check_served(data: bytes, case: Case) -> None:
    """Fail unless the served archive is in its one form, and holds what was sent."""
    members = dict(walk(data))
    assert list(read_zip(data).items()) == list(members.items())
    assert members["index.html"] == INDEX
    if case.held is not None:
        names = {"package.toml", "pages.toml", "index.html", "HISTORY.md", *case.held}
        assert set(members) == names, case.id
        assert case.held.items() <= members.items(), case.id


def check_shown(files: dict[str, str], case: Case) -> None:
    """Fail unless visitors get the files that were sent, under their names in normal form."""
    assert files["index.html"] == digest(INDEX)
    if case.shown is not None:
        sent = {"index.html": INDEX, "package.toml": MANIFEST, **case.shown}
        assert files == {
            nfc(name): digest(content) for name, content in sent.items() if not name.endswith("/")
        }, case.id


@pytest.mark.long
def test_other_programs_read_the_same_in_what_is_served(tmp_path: Path) -> None:
    require_other_readers()
    for key in READ:
        served = tmp_path / f"{key}.zip"
        served.write_bytes(package_of(BY_ID[key].make()))
        check_by_others(served, read_zip(served.read_bytes()))


@pytest.fixture(scope="module")
def owner(hub: Hub) -> Client:
    """Whose package and page take all that is accepted."""
    return hub.organisation()


@pytest.mark.parametrize("key", SENT)
def test_an_archive_gets_its_verdict_in_an_answer(owner: Client, key: str) -> None:
    case = BY_ID[key]
    data, (package, page) = case.make(), refusals(case)
    for address, why, status in (
        (f"/api/packages/{PATH}/versions", package, 400),
        ("/api/pages", page, 422),
    ):
        answer = owner.upload(address, data, status="*")
        if case.package == TOO_LARGE:
            status, why = 400, TOO_LARGE
        if why is None:
            assert answer.status_int == 201
        else:
            assert (answer.status_int, answer.json["detail"]) == (status, why)


def test_a_visitor_gets_a_file_of_any_odd_name(owner: Client) -> None:
    names = {alike(name): name for name in FINE.values()}.values()
    owner.upload("/api/pages", beside(*(named(name, name.encode()) for name in names)).build())
    visitor = owner.hub.app()
    for name in names:
        answer = visitor.get(f"/pages/{owner.slug}/{PATH}/{quote(name, safe='/')}")
        assert answer.body == name.encode()
