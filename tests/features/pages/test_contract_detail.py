"""What is published, listed, shown and taken down: sections 2, 3, 11 and D1, D30, D36-D38, D44."""

import itertools
import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.contract import assert_refused, same_answer, statements
from tests.support.hub import Client, Hub

PAGES = "/api/pages"
GONE = "not currently published"
NO_PATH = "pages.toml missing [publish].path"
ALLOWED = {
    PAGES: {"GET", "POST"},
    f"{PAGES}/a/b": {"GET", "DELETE"},
    # These may be pages of that path as well.
    f"{PAGES}/a/b/publications": {"GET", "DELETE"},
    f"{PAGES}/a/b/publications/1": {"GET", "DELETE"},
    f"{PAGES}/a/b/publications/1/diff/1": {"GET", "DELETE"},
    f"{PAGES}/a/b/rollback": {"GET", "POST", "DELETE"},
}
BAD = {
    "%20": NO_PATH,
    "a/%2Fb": "invalid publish path: 'a//b'",
    "a/%2E%2E/b": "invalid publish path: 'a/../b'",
    "a%00b": r"invalid path segment: 'a\x00b'",
    "%2541": "invalid path segment: '%41'",
    "a" * 256: "publish path too long",
    "1/2/3/4/5/6/7/8/9": "publish path too deep",
}


@pytest.fixture
def page(acme):
    """A client whose organisation has the page `a/b`."""
    acme.publish_page("a/b", {"index.html": "i"})
    return acme


class TestShow:
    @pytest.mark.backend
    def test_a_page_is_found_by_any_spelling_of_its_path(self, page):
        plain = page.get(f"{PAGES}/a/b")
        assert plain.json["path"] == "a/b"
        for url in ("a/b/", "a%2Fb", "a%2Fb/", "%61/b", "a/b?x=1", "a/b/?"):
            assert same_answer(page.get(f"{PAGES}/{url}")) == same_answer(plain)

    def test_head_answers_as_get_does(self, page):
        for path in (PAGES, f"{PAGES}/a/b", f"{PAGES}/a/b/publications"):
            head, get = page.call("HEAD", path, status=200), page.get(path)
            assert head.body == b""
            assert same_answer(head)[1] == same_answer(get)[1]

    def test_any_accept_header_gets_json_and_no_content(self, page):
        for accept in ("text/html", "application/zip", "x/y;q=0"):
            for path, status in (("a/b", 200), ("a/b/index.html", 404)):
                response = page.get(f"{PAGES}/{path}", status, headers={"Accept": accept})
                assert response.headers["Content-Type"] == "application/json"

    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    def test_what_is_not_published_is_404_and_a_bad_path_422(self, page, method):
        page.app.lint = False  # a NUL in an address is the point
        for path in ("none", "a", "a/b/c", "a/bc", "a/b/history", "b", "a/b/index.html"):
            assert_refused(page.call(method, f"{PAGES}/{path}"), 404, GONE)
        for url, detail in BAD.items():
            assert_refused(page.call(method, f"{PAGES}/{url}"), 422, detail)
        assert page.visit("a/b/").text == "i"


class TestMethods:
    @pytest.mark.parametrize("path", ALLOWED)
    def test_others_are_405(self, page, path):
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - ALLOWED[path]:
            for each in (path, path + "/"):
                response = page.call(method, each)
                assert_refused(response, 405, f'Method "{method}" not allowed.')
                told = {word.strip() for word in response.headers["Allow"].split(",")}
                assert told - {"HEAD", "OPTIONS"} == ALLOWED[path]

    @pytest.mark.parametrize(
        ("header", "detail"),
        [
            (None, "Authentication credentials were not provided."),
            ("Bearer x", "Authentication credentials were not provided."),
            ("Api-Key kpf_00000000_" + "x" * 43, "invalid API key"),
        ],
    )
    def test_without_a_good_key_all_is_401(self, page, header, detail):
        sent = {} if header is None else {"Authorization": header}
        for path in (*ALLOWED, f"{PAGES}/none"):
            for method in ("GET", "POST", "DELETE"):
                response = page.hub.app().request(path, method=method, headers=sent, status=401)
                assert_refused(response, 401, detail)
                assert response.headers["WWW-Authenticate"] == "Api-Key"
        assert page.visit("a/b/").text == "i"


class TestUnpublish:
    @pytest.mark.backend
    def test_all_of_it_is_gone_at_once_and_it_may_come_back(self, page):
        page.publish_page("a/c", {"index.html": "c"})
        for url in ("a/b", "a/b/", "a%2Fb"):
            assert page.delete(f"{PAGES}/{url}").body == b""
            assert_refused(page.get(f"{PAGES}/a/b", 404), 404, GONE)
            assert_refused(page.delete(f"{PAGES}/a/b", 404), 404, GONE)
            assert [each["path"] for each in page.get(PAGES).json] == ["a/c"]
            for path in ("a/b", "a/b/", "a/b/index.html"):
                page.visit(path, 404)
            page.publish_page("a/b", {"index.html": "again"})
            assert page.visit("a/b/").text == "again"
        assert page.visit("a/c/").text == "c"

    def test_the_body_is_ignored_but_for_a_reason(self, page):
        page.app.lint = False
        json, form = "application/json", "application/x-www-form-urlencoded"
        for kind, body, reason in (
            (None, b"", ""),
            (json, b'{"reason": "leaked \xc3\xbc"}', "leaked ü"),
            (form, b"reason=leaked", "leaked"),
            (json, b'{"reason": 7}', ""),
            (json, b"[]", ""),
            (json, b"{", ""),
            (json, b"\xff", ""),
            (json, b'{"reason": "\\ud800"}', None),
            (json, b'{"reason": "' + b"x" * 9000 + b'"}', None),
            ("text/plain", b"reason", ""),
            ("multipart/form-data", b"x", ""),
            ("nonsense", b"x", ""),
            (json, b"x" * 3_000_000, ""),
        ):
            options = {"content_type": kind} if kind else {}
            page.call("DELETE", f"{PAGES}/a/b", body, status=204, **options)
            event = page.events()[0]
            assert (event.action, event.outcome) == ("pages:unpublish", "done")
            assert reason is None or event.details["reason"] == reason
            page.publish_page("a/b")


@pytest.mark.backend
def test_what_is_another_organisation_s_answers_as_what_is_nowhere(page, beta):
    for method, path in (
        ("GET", "{}"),
        ("DELETE", "{}"),
        ("GET", "{}/publications"),
        ("GET", "{}/publications/1/diff/1"),
        ("POST", "{}/rollback"),
    ):
        wish = {"publication": 1} if method == "POST" else None
        theirs, none = (
            same_answer(beta.send_json(method, f"{PAGES}/{path.format(name)}", wish, 404))
            for name in ("a/b", "x/y")
        )
        assert theirs == none
    assert beta.get(PAGES).json == []
    for path in ("a", "a/b", "a/b/c"):
        beta.publish_page(path, {"index.html": "beta"})
        beta.delete(f"{PAGES}/{path}")
    assert len(page.get(PAGES).json) == 1
    assert page.visit("a/b/").text == "i"


@pytest.fixture(scope="module")
def clocked(tmp_path_factory):
    """A hub whose clock tests may set."""
    hub = Hub.below(tmp_path_factory.mktemp("clocked"))
    yield hub
    hub.registry.database.close()


@pytest.fixture
def ticking(clocked):
    """A client of a hub whose clock each request moves on by a tenth of a second."""
    ticks = itertools.count()
    start = datetime(2026, 11, 21, 9, 54, 47, tzinfo=UTC)
    clocked.registry.clock = lambda: start + next(ticks) * timedelta(milliseconds=100)
    return clocked.organisation()


def pages_of(client, url):
    """The items of each page of a listing, as `Link` leads from one to the next."""
    while url is not None:
        response = client.get(url)
        yield response.json
        link = response.headers.get("Link")
        url = None
        if link is not None:
            match = re.fullmatch(r'<([^>]+)>; rel="?next"?', link)
            assert match, link
            url = re.sub("^https?://[^/]+", "", match[1]).removeprefix(client.prefix)


class TestListing:
    def paths(self, client, query=""):
        return [each["path"] for each in client.get(PAGES + query).json]

    @pytest.mark.backend
    def test_the_page_that_was_published_last_comes_first(self, ticking):
        assert ticking.get(PAGES).json == []
        for path in ("b", "c", "a"):
            ticking.publish_page(path)
        assert self.paths(ticking) == ["a", "c", "b"]
        assert len({each["published_at"] for each in ticking.get(PAGES).json}) == 1
        ticking.publish_page("b")
        assert self.paths(ticking, "?format=html&x=1") == ["b", "a", "c"]
        ticking.delete(f"{PAGES}/a")
        assert self.paths(ticking) == ["b", "c"]

    @pytest.mark.backend
    @pytest.mark.parametrize("frozen", [False, True])
    def test_pages_of_it_are_together_the_whole(self, ticking, frozen):
        if frozen:
            instant = ticking.hub.registry.clock()
            ticking.hub.registry.clock = lambda: instant
        for number in range(7):
            ticking.publish_page(f"p{number}")
        whole = ticking.get(PAGES)
        assert len(whole.json) == 7
        assert "Link" not in whole.headers
        for limit in (1, 2, 3, 6, 7, 8, 100):
            found = list(pages_of(ticking, f"{PAGES}?limit={limit}"))
            assert [item for part in found for item in part] == whole.json
            assert all(len(part) == limit for part in found[:-1])
        below = Client(ticking.hub, ticking.slug, ticking.key, prefix="/workshop")
        assert "/workshop/api/pages?" in below.get(f"{PAGES}?limit=2").headers["Link"]
        assert len(list(pages_of(below, f"{PAGES}?limit=2"))) == 4

    def test_what_is_published_meanwhile_is_neither_skipped_nor_repeated(self, ticking):
        for path in "abcd":
            ticking.publish_page(path)
        parts = pages_of(ticking, f"{PAGES}?limit=2")
        first = [each["path"] for each in next(parts)]
        ticking.publish_page("e")
        rest = [each["path"] for part in parts for each in part]
        assert first + rest == ["d", "c", "b", "a"]

    def test_a_query_that_cannot_be_is_400(self, page):
        for query in (
            *("limit=0", "limit=-1", "limit=x", "limit=", "limit=" + "9" * 30, "cursor=!!!"),
            *("cursor=", "cursor=AA", "limit=1&cursor=%ff", "limit=1&cursor=%00"),
            *("limit=1&cursor=MjAyNiBh", "limit=1&cursor=MjAyNi0xMS0yMSBh"),
            # The first and the last moment that can be written, in zones that lead beyond them.
            "limit=1&cursor=MDAwMS0wMS0wMVQwMDowMDowMCsyMzo1OSBh",
            "limit=1&cursor=OTk5OS0xMi0zMVQyMzo1OTo1OS0yMzo1OSBh",
        ):
            for path in (PAGES, f"{PAGES}/a/b/publications"):
                assert list(page.get(f"{path}?{query}", 400).json) == ["detail"]


@pytest.mark.backend
class TestCost:
    def counted(self, client, path):
        client.hub.organisation()  # a commit: nothing that was read before is read from memory
        with statements(client.hub) as seen:
            client.get(path)
        return len(seen)

    def test_reading_takes_as_many_statements_however_many_pages_there_are(self, acme):
        for _ in range(2):
            acme.publish_page("p/0", {"index.html": "0"})
        reads = [
            PAGES,
            f"{PAGES}?limit=1",
            f"{PAGES}/p/0",
            f"{PAGES}/p/0/publications",
            f"{PAGES}/p/0/publications/1/diff/2",
        ]
        few = [self.counted(acme, path) for path in reads]
        for number in range(1, 8):
            acme.publish_page(f"p/{number}", {f"{each}.txt": "x" for each in range(number)})
            acme.publish_page("p/0", {"index.html": f"{number}"})
        assert [self.counted(acme, path) for path in reads] == few
        assert max(few) < 10

    def test_so_do_publishing_taking_down_and_rolling_back(self, acme):
        def cost(path, files):
            with statements(acme.hub) as up:
                acme.publish_page(path, {f"{number}.txt": "x" for number in range(files)})
            with statements(acme.hub) as down:
                acme.delete(f"{PAGES}/{path}")
            with statements(acme.hub) as back:
                acme.send_json("POST", f"{PAGES}/{path}/rollback", {"publication": 1})
            return len(up), len(down), len(back)

        cost("warm/up", 1)
        few = cost("a", 1)
        for number in range(8):
            acme.publish_page(f"p/{number}")
        assert cost("b", 200) == few
