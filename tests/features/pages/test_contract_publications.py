"""Past publications: listed, compared, rolled back, kept for a while, told in the audit: D44."""

import hashlib
import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.archives import make_zip, page_zip
from tests.support.contract import assert_refused
from tests.support.hub import Client, Hub

PAGES = "/api/pages"
GONE = "not currently published"
SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
FIELDS = "publication published_at published_by content_hash size files live"


def publications(client, path="x", **options):
    return client.get(f"{PAGES}/{path}/publications", **options).json


def numbers(client, path="x"):
    return [each["publication"] for each in publications(client, path)]


def live(client, path="x"):
    return [each["publication"] for each in publications(client, path) if each["live"]]


def roll_back(client, number, path="x", status=200, **options):
    url = f"{PAGES}/{path}/rollback"
    return client.send_json("POST", url, {"publication": number}, status, **options)


def publish_texts(client, *texts, path="x"):
    for text in texts:
        client.publish_page(path, {"index.html": text})


@pytest.fixture
def site(acme):
    """A client whose organisation has published `x` three times: one, two, three."""
    publish_texts(acme, "one", "two", "three")
    return acme


class TestListing:
    @pytest.mark.backend
    def test_all_that_is_kept_is_listed_newest_first(self, acme):
        archives = [
            page_zip("x", {f"{each}.txt": "t" for each in range(files)}) for files in (1, 3)
        ]
        acme.upload(PAGES, archives[0], {"author": "bob"})
        acme.upload(PAGES, archives[1])
        found = publications(acme)
        assert [" ".join(each) for each in found] == [FIELDS, FIELDS]
        assert [each["publication"] for each in found] == [2, 1]
        assert [each["live"] for each in found] == [True, False]
        assert [each["published_by"] for each in found] == ["service", "bob"]
        assert [each["files"] for each in found] == [3, 1]
        assert [each["size"] for each in found] == [len(archives[1]), len(archives[0])]
        hashes = [hashlib.sha256(each).hexdigest() for each in reversed(archives)]
        assert [each["content_hash"] for each in found] == hashes
        assert all(SECONDS.fullmatch(each["published_at"]) for each in found)

    def test_it_is_there_after_an_unpublish_and_numbers_go_on(self, site):
        site.delete(f"{PAGES}/x")
        assert (numbers(site), live(site)) == ([3, 2, 1], [])
        publish_texts(site, "four", "four")
        assert (numbers(site), live(site)) == ([5, 4, 3, 2, 1], [5])

    def test_of_a_page_that_never_was_there_is_none(self, site):
        for path in ("none", "x/y", "xx"):
            assert_refused(site.get(f"{PAGES}/{path}/publications", 404), 404, GONE)
        response = site.get(f"{PAGES}/X/publications", 422)
        assert_refused(response, 422, "invalid path segment: 'X'")

    @pytest.mark.backend
    def test_it_can_be_paged(self, site):
        first = site.get(f"{PAGES}/x/publications?limit=2")
        url = re.fullmatch(r'<([^>]+)>; rel="?next"?', first.headers["Link"])[1]
        rest = site.get(re.sub("^https?://[^/]+", "", url))
        assert first.json + rest.json == publications(site)
        assert "Link" not in rest.headers
        assert site.get(f"{PAGES}/x/publications/").json == publications(site)


class TestRollback:
    @pytest.mark.backend
    def test_what_was_is_served_again(self, site):
        page = roll_back(site, 1).json
        assert list(page)[:4] == ["path", "url", "published_at", "content_hash"]
        assert page["publication"] == 1
        assert page["content_hash"] == publications(site)[2]["content_hash"]
        assert site.get(f"{PAGES}/x").json == page
        assert site.get(PAGES).json == [page]
        assert site.visit("x/").text == "one"
        assert (numbers(site), live(site)) == ([3, 2, 1], [1])

    @pytest.mark.backend
    def test_files_that_came_later_are_gone_and_those_that_went_are_back(self, acme):
        acme.publish_page("x", {"a.txt": "a"})
        acme.publish_page("x", {"b.txt": "b"})
        for number, there, gone in ((1, "a", "b"), (2, "b", "a")):
            roll_back(acme, number)
            assert acme.visit(f"x/{there}.txt").text == there
            acme.visit(f"x/{gone}.txt", 404)

    def test_forward_and_back_and_after_an_unpublish(self, site):
        for number, text in ((1, "one"), (3, "three"), (2, "two")):
            roll_back(site, number)
            assert (site.visit("x/").text, live(site)) == (text, [number])
        site.delete(f"{PAGES}/x")
        roll_back(site, 2)
        assert site.visit("x/").text == "two"
        publish_texts(site, "four")
        assert (numbers(site), live(site)) == ([4, 3, 2, 1], [4])

    def test_to_what_is_live_it_changes_nothing(self, site):
        before = (publications(site), site.get(f"{PAGES}/x").json, len(site.events()))
        tag = site.visit("x/").headers["ETag"]
        assert roll_back(site, 3).json == before[1]
        assert (publications(site), site.get(f"{PAGES}/x").json, len(site.events())) == before
        assert site.visit("x/").headers["ETag"] == tag

    def test_what_is_not_kept_is_404(self, site):
        publish_texts(site, "y", path="y")
        for path, number, detail in (
            ("x", 4, "publication 4 not found"),
            ("x", 999_999_999, "publication 999999999 not found"),
            ("y", 2, "publication 2 not found"),
            ("none", 1, GONE),
            ("x/y", 1, GONE),
        ):
            assert_refused(roll_back(site, number, path, 404), 404, detail)
        assert (site.visit("x/").text, site.visit("y/").text) == ("three", "y")

    @pytest.mark.parametrize("other", ["a", "a/b/c"])
    def test_it_is_refused_where_another_page_came_in_the_way(self, acme, other):
        acme.publish_page("a/b", {"index.html": "one"})
        acme.delete(f"{PAGES}/a/b")
        acme.publish_page(other, {"index.html": "other"})
        refused = roll_back(acme, 1, "a/b", 409)
        assert_refused(refused, 409, f"path overlaps published page '{other}'")
        assert [each["path"] for each in acme.get(PAGES).json] == [other]
        assert acme.visit(f"{other}/").text == "other"
        acme.delete(f"{PAGES}/{other}")
        roll_back(acme, 1, "a/b")
        assert acme.visit("a/b/").text == "one"

    def test_a_body_that_names_no_number_is_400(self, site):
        for body in ({}, [], None, {"version": 1}, {"publication": "x"}, {"publication": True}):
            response = site.send_json("POST", f"{PAGES}/x/rollback", body, 400)
            assert list(response.json) == ["detail"]
        url = f"{PAGES}/x/rollback"
        site.call("POST", url, b"{", content_type="application/json", status=400)
        site.call("POST", url, b"1", content_type="text/plain", status=415)
        site.call("POST", url, status=400)
        assert live(site) == [3]
        form = "application/x-www-form-urlencoded"
        site.call("POST", url, b"publication=1", content_type=form, status=200)
        assert live(site) == [1]

    @pytest.mark.backend
    def test_a_retry_with_a_key_gets_the_first_answer(self, site):
        key = {"Idempotency-Key": "k"}
        first = roll_back(site, 1, headers=key)
        publish_texts(site, "four")
        assert roll_back(site, 1, headers=key).body == first.body
        assert site.visit("x/").text == "four"
        roll_back(site, 2, status=422, headers=key)

    def test_nobody_else_rolls_anything_back(self, site, beta):
        reader = Client(site.hub, site.slug, site.hub.issue_key(site.slug, scopes=["read"]))
        roll_back(reader, 1, status=403)
        assert numbers(reader) == [3, 2, 1]
        roll_back(beta, 1, status=404)
        publish_texts(beta, "beta", "beta 2")
        roll_back(beta, 1)
        assert (site.visit("x/").text, beta.visit("x/").text) == ("three", "beta")
        below = Client(site.hub, site.slug, site.key, prefix="/workshop")
        response = below.send_json("POST", f"{PAGES}/x/rollback/", {"publication": 1})
        assert response.json["url"] == f"/workshop/pages/{site.slug}/x/"


class TestDifference:
    def difference(self, client, old, new, status=200):
        return client.get(f"{PAGES}/x/publications/{old}/diff/{new}", status)

    @pytest.fixture
    def changing(self, acme):
        acme.publish_page("x", {"same": "s", "changed": "1", "went": "w", "d/z": "z"})
        acme.publish_page("x", {"ü": "u", "same": "s", "changed": "2", "d/a": "a"})
        return acme

    @pytest.mark.backend
    def test_it_tells_which_files_came_went_and_changed_either_way(self, changing):
        added, removed, changed = ["d/a", "ü"], ["d/z", "went"], ["changed"]
        for old, new, *difference in (
            (1, 2, added, removed, changed),
            (2, 1, removed, added, changed),
            (2, 2, [], [], []),
        ):
            told = self.difference(changing, old, new).json
            assert told == {"from": old, "to": new} | dict(
                zip(("added", "removed", "changed"), difference, strict=True)
            )
        changing.delete(f"{PAGES}/x")
        assert self.difference(changing, 1, 2).json["changed"] == ["changed"]

    def test_how_a_file_is_packed_makes_no_difference(self, acme):
        for compression in (0, 8):
            members = {"pages.toml": "[publish]\npath = 'x'", "a.txt": "a" * 500}
            acme.upload(PAGES, make_zip(members, compression))
        assert self.difference(acme, 1, 2).json["changed"] == []

    def test_a_number_that_is_not_kept_is_404_and_one_that_is_none_4xx(self, changing, beta):
        for old, new, missing in ((1, 3, 3), (9, 1, 9), (0, 1, 0), (1, 999_999_999, 999_999_999)):
            response = self.difference(changing, old, new, 404)
            assert_refused(response, 404, f"publication {missing} not found")
        changing.app.lint = False
        for number in ("x", "-1", "1.5", "٣", "9" * 40, "%00"):
            for pair in ((number, 1), (1, number)):
                assert self.difference(changing, *pair, "*").status_int in {404, 422}
        self.difference(beta, 1, 2, 404)


class TestRetention:
    @pytest.mark.backend
    def test_ten_past_ones_are_kept_by_default_and_count_for_the_quota(self, acme):
        publish_texts(acme, *map(str, range(1, 14)))
        assert numbers(acme) == list(range(13, 2, -1))
        roll_back(acme, 2, status=404)
        kept = sum(each["size"] for each in publications(acme))
        assert acme.get("/api/organisation").json["stored_bytes"] == kept
        roll_back(acme, 3)
        assert acme.visit("x/").text == "3"

    @pytest.mark.backend
    def test_the_settings_tell_how_many_and_how_long_and_bytes_go_with_the_rest(self, tmp_path):
        hub = Hub.below(tmp_path, pages__keep_publications="2", pages__keep_days="7")
        acme, start = hub.organisation(), datetime(2026, 3, 1, 12, tzinfo=UTC)
        hub.registry.clock = lambda: start
        publish_texts(acme, *"12345")
        assert numbers(acme) == [5, 4, 3]
        acme.delete(f"{PAGES}/x")
        hub.registry.clock = lambda: start + timedelta(days=8)
        publish_texts(acme, "y", path="y")
        roll_back(acme, 5, status=404)
        acme.get(f"{PAGES}/x/publications", 404)
        hub.registry.afterwards.settle()
        [kept] = publications(acme, "y")
        assert sum(each.size for each in hub.registry.stores.main.list()) == kept["size"]
        # The log outlives the page and its publications.
        told = [each for each in acme.events() if each.subject == "page:x"]
        told = [each.action for each in told if each.outcome == "done"]
        assert told == ["pages:unpublish", *["pages:publish"] * 5]
        hub.registry.database.close()


class TestForgetting:
    def url(self, number):
        return f"{PAGES}/x/publications/{number}"

    def forget(self, client, number, status=204):
        return client.call("POST", f"{self.url(number)}/forget", status=status)

    def test_each_can_be_asked_for_and_one_that_is_not_kept_is_404(self, site, beta):
        for each in publications(site):
            assert site.get(self.url(each["publication"])).json == each
        for method, behind in (("GET", ""), ("POST", "/forget")):
            response = site.call(method, self.url(9) + behind)
            assert_refused(response, 404, "publication 9 not found")
            assert beta.call(method, self.url(1) + behind).status_int == 404
        assert numbers(site) == [3, 2, 1]

    @pytest.mark.backend
    def test_a_past_one_can_be_forgotten_with_its_bytes(self, site):
        before = site.get("/api/organisation").json["stored_bytes"]
        size = site.get(self.url(2)).json["size"]
        self.forget(site, 2)
        assert numbers(site) == [3, 1]
        assert site.get("/api/organisation").json["stored_bytes"] == before - size
        site.get(self.url(2), 404)
        self.forget(site, 2, 404)
        roll_back(site, 2, status=404)
        assert site.visit("x/").text == "three"
        publish_texts(site, "four")
        assert numbers(site) == [4, 3, 1]

    def test_the_live_one_cannot(self, site):
        assert list(self.forget(site, 3, 409).json) == ["detail"]
        assert site.visit("x/").text == "three"
        roll_back(site, 1)
        self.forget(site, 3)
        self.forget(site, 1, 409)
        assert (numbers(site), live(site)) == ([2, 1], [1])

    def test_after_an_unpublish_all_can_and_no_number_is_used_again(self, site):
        site.delete(f"{PAGES}/x")
        for number in (1, 2, 3):
            self.forget(site, number)
        site.get(f"{PAGES}/x/publications", 404)
        assert site.publish_page("x")["publication"] == 4

    def test_it_is_told_and_bytes_that_another_one_shares_stay(self, acme):
        for _ in range(2):
            page = acme.publish_page("x", {"index.html": "same"})
        self.forget(acme, 1)
        assert acme.visit("x/").text == "same"
        event = acme.events()[0]
        assert (event.outcome, event.subject) == ("done", "page:x")
        assert event.details["content_hash"] == page["content_hash"]
        assert acme.key[:12] in event.actor


@pytest.mark.parametrize(
    "path",
    [
        *("x/publications", "x/rollback", "x/publications/1/diff/1", "x/publications/1"),
        *("publications", "rollback/rollback"),
    ],
)
def test_a_page_may_be_called_like_what_is_asked_of_pages(acme, path):
    page = acme.publish_page(path, {"index.html": "one"})
    assert acme.get(f"{PAGES}/{path}").json == page
    acme.publish_page(path, {"index.html": "two"})
    assert numbers(acme, path) == [2, 1]
    roll_back(acme, 1, path)
    assert acme.visit(f"{path}/").text == "one"
    acme.delete(f"{PAGES}/{path}")
    acme.visit(f"{path}/", 404)
    acme.get(f"{PAGES}/{path}", 404)
    roll_back(acme, 2, path)
    assert acme.visit(f"{path}/").text == "two"


def test_taking_a_page_down_twice_removes_nothing_else(acme):
    """A page may be called as if it were a publication of another one."""
    acme.publish_page("x")
    acme.delete(f"{PAGES}/x")
    acme.publish_page("x/publications/1")
    acme.delete(f"{PAGES}/x/publications/1")
    assert_refused(acme.delete(f"{PAGES}/x/publications/1", 404), 404, GONE)
    assert numbers(acme) == [1]


class TestAudit:
    def done(self, client):
        return [each for each in client.events() if each.outcome == "done"]

    @pytest.mark.backend
    def test_each_change_is_told_once_with_its_actor_hash_and_time(self, hub, acme):
        user = f"{acme.slug}-ann"
        ann = Client(hub, acme.slug, hub.issue_key(acme.slug, user=user))
        first = acme.publish_page("x", {"index.html": "1"})
        second = ann.publish_page("x", {"index.html": "2"})
        roll_back(acme, 1)
        acme.send_json("DELETE", f"{PAGES}/x", {"reason": "leak"}, 204)
        down, back, again, new = self.done(acme)[:4]
        hashes = [each.details["content_hash"] for each in (new, again, back, down)]
        one, two = first["content_hash"], second["content_hash"]
        assert hashes == [one, two, one, one]
        assert [each.details["publication"] for each in (new, again, back, down)] == [1, 2, 1, 1]
        assert [each.details.get("previous") for each in (new, again, back)] == [None, 1, 2]
        assert {each.subject for each in (new, again, back, down)} == {"page:x"}
        assert len({each.action for each in (new, back, down)}) == 3
        assert new.action == again.action == "pages:publish"
        assert down.action == "pages:unpublish"
        assert down.details["reason"] == "leak"
        assert acme.key[:12] in new.actor
        assert user in again.actor
        times = [each.at for each in (new, again, back, down)]
        assert times == sorted(times)

    def test_clients_can_read_it_and_it_holds_no_secret(self, site):
        site.publish_page("x", {}, 422)
        log = site.get("/api/log")
        told = [each for each in log.json if each["action"] == "pages:publish"]
        assert len([each for each in told if each["outcome"] == "done"]) == 3
        assert site.key.split("_", 2)[2] not in log.text

    def test_reading_and_visiting_leave_no_event(self, site):
        before = len(site.events())
        for path in ("x", "x/publications", "x/publications/1/diff/2", "none"):
            site.get(f"{PAGES}/{path}", "*")
        for path in ("x/", "x", "x/none", "none/"):
            site.visit(path, "*")
        site.hub.app().request(f"/pages/{site.slug}/x/", method="POST", status="*")
        assert len(site.events()) == before

    def test_refusals_are_told(self, acme):
        acme.publish_page("a/b")
        for attempt in (
            lambda: acme.publish_page("a", status=409),
            lambda: acme.publish_page("A", status=422),
            lambda: acme.publish_page("z", {}, 422),
            lambda: roll_back(acme, 9, "a/b", 404),
            lambda: acme.delete(f"{PAGES}/none", 404),
        ):
            before = {each.guid for each in acme.events()}
            attempt()
            [told] = [each for each in acme.events() if each.guid not in before]
            assert told.outcome == "refused"
            assert told.action.startswith("pages:")
            assert acme.key[:12] in told.actor
