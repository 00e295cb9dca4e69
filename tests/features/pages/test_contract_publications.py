"""Past publications: listed, compared, rolled back, kept for a while, told in the audit: D44."""

import hashlib
import re
from datetime import UTC, datetime, timedelta

import pytest

from hubrepo.kernel.accounts.services import Limits
from tests.support.archives import make_zip, page_zip
from tests.support.contract import assert_refused, same_answer
from tests.support.hub import Client, Hub

PAGES = "/api/pages"
GONE = "not currently published"
SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
FIELDS = [
    *("publication", "published_at", "published_by", "content_hash", "size", "files", "live"),
]


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


@pytest.fixture
def hub_with(tmp_path):
    """Makes a client of a hub with these settings, whose clock stands still until it is set."""
    hubs = []

    def make(**settings):
        hub = Hub.below(tmp_path, **settings)
        hubs.append(hub)
        client = hub.organisation()
        start = datetime(2026, 3, 1, 12, tzinfo=UTC)
        hub.registry.clock = lambda: start
        return client

    yield make
    for each in hubs:
        each.registry.database.close()


def pass_time(client, **span):
    instant = client.hub.registry.clock() + timedelta(**span)
    client.hub.registry.clock = lambda: instant


class TestListing:
    def test_all_that_is_kept_is_listed_newest_first(self, acme):
        archives = [
            page_zip("x", {f"{each}.txt": "t" for each in range(files)}) for files in (1, 3)
        ]
        acme.upload(PAGES, archives[0], {"author": "bob"})
        acme.upload(PAGES, archives[1])
        found = publications(acme)
        assert [list(each) for each in found] == [FIELDS, FIELDS]
        assert [each["publication"] for each in found] == [2, 1]
        assert [each["live"] for each in found] == [True, False]
        assert [each["published_by"] for each in found] == ["service", "bob"]
        assert [each["files"] for each in found] == [3, 1]
        assert [each["size"] for each in found] == [len(archives[1]), len(archives[0])]
        hashes = [hashlib.sha256(each).hexdigest() for each in reversed(archives)]
        assert [each["content_hash"] for each in found] == hashes
        assert all(SECONDS.fullmatch(each["published_at"]) for each in found)

    def test_the_same_archive_twice_is_two_publications(self, acme):
        for _ in range(2):
            acme.upload(PAGES, page_zip("x"))
        assert numbers(acme) == [2, 1]

    def test_it_is_there_after_an_unpublish(self, site):
        site.delete(f"{PAGES}/x")
        assert (numbers(site), live(site)) == ([3, 2, 1], [])

    def test_numbers_go_on_after_an_unpublish(self, site):
        site.delete(f"{PAGES}/x")
        publish_texts(site, "four")
        assert (numbers(site), live(site)) == ([4, 3, 2, 1], [4])

    @pytest.mark.parametrize("path", ["none", "x/y", "xx"])
    def test_of_a_page_that_never_was_there_is_none(self, site, path):
        assert_refused(site.get(f"{PAGES}/{path}/publications", 404), 404, GONE)

    def test_a_bad_path_is_422(self, site):
        response = site.get(f"{PAGES}/X/publications", 422)
        assert_refused(response, 422, "invalid path segment: 'X'")

    def test_it_can_be_paged(self, site):
        first = site.get(f"{PAGES}/x/publications?limit=2")
        url = re.fullmatch(r'<([^>]+)>; rel="?next"?', first.headers["Link"])[1]
        rest = site.get(re.sub("^https?://[^/]+", "", url))
        assert first.json + rest.json == publications(site)
        assert "Link" not in rest.headers

    def test_a_trailing_slash_is_tolerated(self, site):
        plain = site.get(f"{PAGES}/x/publications")
        assert same_answer(site.get(f"{PAGES}/x/publications/")) == same_answer(plain)


class TestRollback:
    def test_what_was_is_served_again(self, site):
        page = roll_back(site, 1).json
        assert list(page)[:4] == ["path", "url", "published_at", "content_hash"]
        assert page["publication"] == 1
        assert page["content_hash"] == publications(site)[2]["content_hash"]
        assert site.get(f"{PAGES}/x").json == page
        assert site.get(PAGES).json == [page]
        assert site.visit("x/").text == "one"
        assert (numbers(site), live(site)) == ([3, 2, 1], [1])

    def test_files_that_came_later_are_gone_and_those_that_went_are_back(self, acme):
        acme.publish_page("x", {"a.txt": "a"})
        acme.publish_page("x", {"b.txt": "b"})
        roll_back(acme, 1)
        assert acme.visit("x/a.txt").text == "a"
        acme.visit("x/b.txt", 404)
        roll_back(acme, 2)
        assert acme.visit("x/b.txt").text == "b"
        acme.visit("x/a.txt", 404)

    def test_forward_and_back_and_publish_again(self, site):
        for number, text in ((1, "one"), (3, "three"), (2, "two")):
            roll_back(site, number)
            assert (site.visit("x/").text, live(site)) == (text, [number])
        publish_texts(site, "four")
        assert (numbers(site), live(site)) == ([4, 3, 2, 1], [4])

    def test_after_an_unpublish_too(self, site):
        site.delete(f"{PAGES}/x")
        roll_back(site, 2)
        assert site.visit("x/").text == "two"
        assert (numbers(site), live(site)) == ([3, 2, 1], [2])

    def test_to_what_is_live_it_changes_nothing(self, site):
        before = (publications(site), site.get(f"{PAGES}/x").json, len(site.events()))
        tag = site.visit("x/").headers["ETag"]
        assert roll_back(site, 3).json == before[1]
        assert (publications(site), site.get(f"{PAGES}/x").json, len(site.events())) == before
        assert site.visit("x/").headers["ETag"] == tag

    @pytest.mark.parametrize("number", [4, 99, 999_999_999])
    def test_a_number_that_is_not_kept_is_404(self, site, number):
        assert_refused(roll_back(site, number, status=404), 404, f"publication {number} not found")
        assert site.visit("x/").text == "three"

    def test_so_is_one_of_another_page(self, site):
        publish_texts(site, "y", path="y")
        roll_back(site, 2, "y", 404)
        assert site.visit("y/").text == "y"

    def test_a_page_that_never_was_is_404(self, site):
        assert_refused(roll_back(site, 1, "none", 404), 404, GONE)
        roll_back(site, 1, "x/y", 404)

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

    @pytest.mark.parametrize(
        "body",
        [{}, [], None, 1, "1", {"version": 1}]
        + [
            {"publication": value}
            for value in (None, "", "x", 0, -1, 1.5, True, [], {}, [1], "٣", "1e3", 10**30, "-1")
        ],
        ids=ascii,
    )
    def test_a_body_that_names_no_number_is_400(self, site, body):
        response = site.send_json("POST", f"{PAGES}/x/rollback", body, "*")
        assert (response.status_int, list(response.json)) == (400, ["detail"])
        assert live(site) == [3]

    def test_the_number_may_come_as_a_form_does(self, site):
        kind = "application/x-www-form-urlencoded"
        site.call("POST", f"{PAGES}/x/rollback", b"publication=1", content_type=kind, status=200)
        assert live(site) == [1]

    def test_other_bodies_are_400_and_415(self, site):
        url = f"{PAGES}/x/rollback"
        site.call("POST", url, b"{", content_type="application/json", status=400)
        site.call("POST", url, b"1", content_type="text/plain", status=415)
        site.call("POST", url, status=400)
        assert live(site) == [3]

    def test_a_retry_with_a_key_gets_the_first_answer(self, site):
        key = {"Idempotency-Key": "k"}
        first = roll_back(site, 1, headers=key)
        publish_texts(site, "four")
        assert roll_back(site, 1, headers=key).body == first.body
        assert site.visit("x/").text == "four"
        roll_back(site, 2, status=422, headers=key)

    def test_a_trailing_slash_and_a_prefix_are_fine(self, site):
        below = Client(site.hub, site.slug, site.key, prefix="/workshop")
        response = below.send_json("POST", f"{PAGES}/x/rollback/", {"publication": 1})
        assert response.json["url"] == f"/workshop/pages/{site.slug}/x/"
        assert below.visit("x/").text == "one"

    def test_another_organisation_rolls_nothing_back(self, site, beta):
        roll_back(beta, 1, status=404)
        publish_texts(beta, "beta", "beta 2")
        roll_back(beta, 1)
        assert (site.visit("x/").text, beta.visit("x/").text) == ("three", "beta")

    def test_a_key_that_may_only_read_rolls_nothing_back(self, site):
        reader = Client(site.hub, site.slug, site.hub.issue_key(site.slug, scopes=["read"]))
        roll_back(reader, 1, status=403)
        assert numbers(reader) == [3, 2, 1]
        assert live(site) == [3]


class TestDifference:
    def difference(self, client, old, new, status=200):
        return client.get(f"{PAGES}/x/publications/{old}/diff/{new}", status)

    @pytest.fixture
    def changing(self, acme):
        acme.publish_page("x", {"same": "s", "changed": "1", "went": "w", "d/z": "z"})
        acme.publish_page("x", {"ü": "u", "same": "s", "changed": "2", "d/a": "a"})
        return acme

    def test_it_tells_which_files_came_went_and_changed(self, changing):
        assert self.difference(changing, 1, 2).json == {
            "from": 1,
            "to": 2,
            "added": ["d/a", "ü"],
            "removed": ["d/z", "went"],
            "changed": ["changed"],
        }

    def test_the_other_way_round_it_is_the_contrary(self, changing):
        there, back = (self.difference(changing, *each).json for each in ((1, 2), (2, 1)))
        assert (back["from"], back["to"]) == (2, 1)
        assert (back["added"], back["removed"]) == (there["removed"], there["added"])
        assert back["changed"] == there["changed"]

    def test_of_one_and_itself_there_is_none(self, changing):
        nothing = {"added": [], "removed": [], "changed": []}
        assert self.difference(changing, 2, 2).json == {"from": 2, "to": 2, **nothing}

    def test_how_a_file_is_packed_makes_no_difference(self, acme):
        for compression in (0, 8):
            members = {"pages.toml": "[publish]\npath = 'x'", "a.txt": "a" * 500}
            acme.upload(PAGES, make_zip(members, compression))
        assert self.difference(acme, 1, 2).json["changed"] == []

    def test_it_is_there_after_an_unpublish(self, changing):
        changing.delete(f"{PAGES}/x")
        assert self.difference(changing, 1, 2).json["changed"] == ["changed"]

    @pytest.mark.parametrize(
        ("old", "new", "missing"), [(1, 3, 3), (9, 1, 9), (0, 1, 0), (1, 999_999_999, 999_999_999)]
    )
    def test_a_number_that_is_not_kept_is_404(self, changing, old, new, missing):
        response = self.difference(changing, old, new, 404)
        assert_refused(response, 404, f"publication {missing} not found")

    @pytest.mark.parametrize("number", ["x", "-1", "1.5", "٣", "9" * 40, "%00"])
    def test_a_number_that_is_none_is_4xx(self, changing, number):
        changing.app.lint = False
        for pair in ((number, 1), (1, number)):
            assert self.difference(changing, *pair, "*").status_int in {404, 422}

    @pytest.mark.usefixtures("changing")
    def test_another_organisation_hears_404(self, beta):
        self.difference(beta, 1, 2, 404)


class TestRetention:
    def test_ten_past_ones_are_kept_by_default(self, acme):
        publish_texts(acme, *map(str, range(1, 14)))
        assert numbers(acme) == list(range(13, 2, -1))
        roll_back(acme, 2, status=404)
        roll_back(acme, 3)
        assert acme.visit("x/").text == "3"

    def test_the_setting_tells_how_many(self, hub_with):
        acme = hub_with(pages__keep_publications="2")
        publish_texts(acme, *"12345")
        assert numbers(acme) == [5, 4, 3]

    def test_none_may_be_kept_but_the_live_one(self, hub_with):
        acme = hub_with(pages__keep_publications="0")
        publish_texts(acme, *"123")
        assert (numbers(acme), live(acme)) == ([3], [3])
        assert acme.visit("x/").text == "3"

    def test_one_that_was_rolled_back_to_is_not_the_oldest_any_more(self, hub_with):
        acme = hub_with(pages__keep_publications="2")
        for number in range(1, 4):
            publish_texts(acme, str(number))
            pass_time(acme, seconds=10)
        roll_back(acme, 1)
        pass_time(acme, seconds=10)
        publish_texts(acme, "4")
        assert live(acme) == [4]
        assert 1 in numbers(acme)
        assert len(numbers(acme)) == 3

    def test_the_live_one_is_never_forgotten(self, hub_with):
        acme = hub_with(pages__keep_publications="1", pages__keep_days="1")
        publish_texts(acme, "1", "2")
        roll_back(acme, 1)
        pass_time(acme, days=400)
        publish_texts(acme, "y", path="y")
        assert acme.visit("x/").text == "1"
        assert live(acme) == [1]

    def test_the_setting_tells_how_long_since_one_was_replaced(self, hub_with):
        acme = hub_with(pages__keep_days="7")
        publish_texts(acme, "1")
        pass_time(acme, days=30)
        publish_texts(acme, "2")  # 1 was live until now: its days begin
        pass_time(acme, days=6)
        publish_texts(acme, "3")
        assert numbers(acme) == [3, 2, 1]
        pass_time(acme, days=2)
        publish_texts(acme, "4")
        assert numbers(acme) == [4, 3, 2]

    def test_one_that_is_too_old_cannot_be_rolled_back_to(self, hub_with):
        acme = hub_with(pages__keep_days="7")
        publish_texts(acme, "1", "2")
        acme.delete(f"{PAGES}/x")
        pass_time(acme, days=6)
        roll_back(acme, 1)
        acme.delete(f"{PAGES}/x")
        pass_time(acme, days=8)
        publish_texts(acme, "y", path="y")
        roll_back(acme, 1, status=404)
        roll_back(acme, 2, status=404)
        acme.get(f"{PAGES}/x/publications", 404)

    def test_bytes_go_with_what_is_forgotten(self, hub_with):
        acme = hub_with(pages__keep_publications="1")
        publish_texts(acme, *"12345")
        kept = sum(each["size"] for each in publications(acme))
        assert acme.get("/api/organisation").json["stored_bytes"] == kept
        acme.hub.registry.afterwards.settle()
        assert sum(each.size for each in acme.hub.registry.stores.main.list()) == kept

    def test_bytes_that_are_kept_count_for_the_quota(self, acme):
        sizes = [acme.publish_page("x", {"index.html": each})["size"] for each in ("a", "b")]
        acme.delete(f"{PAGES}/x")
        assert acme.get("/api/organisation").json["stored_bytes"] == sum(sizes)

    def test_what_two_publications_share_stays_for_both(self, hub_with):
        acme = hub_with(pages__keep_publications="1")
        publish_texts(acme, "a", "b", "a", "b", "a", "c")
        assert numbers(acme) == [6, 5]
        roll_back(acme, 5)
        assert acme.visit("x/").text == "a"


class TestForgetting:
    def url(self, number):
        return f"{PAGES}/x/publications/{number}"

    def forget(self, client, number, status=204):
        return client.call("POST", f"{self.url(number)}/forget", status=status)

    def test_each_can_be_asked_for(self, site):
        for each in publications(site):
            assert site.get(self.url(each["publication"])).json == each

    @pytest.mark.parametrize(("method", "behind"), [("GET", ""), ("POST", "/forget")])
    def test_one_that_is_not_kept_is_404(self, site, beta, method, behind):
        response = site.call(method, self.url(9) + behind)
        assert_refused(response, 404, "publication 9 not found")
        assert beta.call(method, self.url(1) + behind).status_int == 404
        assert numbers(site) == [3, 2, 1]

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

    def test_it_is_told(self, site):
        digest = site.get(self.url(1)).json["content_hash"]
        self.forget(site, 1)
        event = site.events()[0]
        assert (event.outcome, event.subject) == ("done", "page:x")
        assert event.details["content_hash"] == digest
        assert site.key[:12] in event.actor

    def test_bytes_that_another_one_shares_stay(self, acme):
        for _ in range(2):
            acme.publish_page("x", {"index.html": "same"})
        self.forget(acme, 1)
        assert acme.visit("x/").text == "same"


class TestNamesLikeOurs:
    @pytest.mark.parametrize(
        "path",
        [
            *("x/publications", "x/rollback", "x/publications/1/diff/1", "publications"),
            "x/publications/1",
            *("rollback", "publications/publications", "rollback/rollback", "x/history"),
        ],
    )
    def test_a_page_may_be_called_like_what_is_asked_of_pages(self, acme, path):
        page = acme.publish_page(path, {"index.html": "one"})
        assert acme.get(f"{PAGES}/{path}").json == page
        assert acme.visit(f"{path}/").text == "one"
        acme.publish_page(path, {"index.html": "two"})
        assert numbers(acme, path) == [2, 1]
        roll_back(acme, 1, path)
        assert acme.visit(f"{path}/").text == "one"
        acme.delete(f"{PAGES}/{path}")
        acme.visit(f"{path}/", 404)
        acme.get(f"{PAGES}/{path}", 404)
        roll_back(acme, 2, path)
        assert acme.visit(f"{path}/").text == "two"


class TestAudit:
    def done(self, client):
        return [each for each in client.events() if each.outcome == "done"]

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
        assert {each.subject for each in (new, again, back, down)} == {"page:x"}
        assert len({each.action for each in (new, back, down)}) == 3
        assert new.action == again.action == "pages:publish"
        assert down.action == "pages:unpublish"
        assert down.details["reason"] == "leak"
        assert acme.key[:12] in new.actor
        assert user in again.actor
        times = [each.at for each in (new, again, back, down)]
        assert times == sorted(times)

    def test_the_log_outlives_the_page_and_its_publications(self, hub_with):
        acme = hub_with(pages__keep_days="1")
        page = acme.publish_page("x")
        acme.delete(f"{PAGES}/x")
        pass_time(acme, days=9)
        acme.publish_page("y")
        acme.get(f"{PAGES}/x/publications", 404)
        told = [each for each in self.done(acme) if each.subject == "page:x"]
        assert [each.action for each in told] == ["pages:unpublish", "pages:publish"]
        assert {each.details["content_hash"] for each in told} == {page["content_hash"]}

    def test_clients_can_read_it(self, site):
        log = site.get("/api/log").json
        told = [each for each in log if each["action"] == "pages:publish"]
        assert len(told) == 3

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
        attempts = [
            lambda: acme.publish_page("a", status=409),
            lambda: acme.publish_page("A", status=422),
            lambda: acme.publish_page("z", {}, 422),
            lambda: roll_back(acme, 9, "a/b", 404),
            lambda: acme.delete(f"{PAGES}/none", 404),
        ]
        for attempt in attempts:
            before = {each.guid for each in acme.events()}
            attempt()
            told = [each for each in acme.events() if each.guid not in before]
            assert [each.outcome for each in told] == ["refused"]
            assert told[0].action.startswith("pages:")
            assert acme.key[:12] in told[0].actor

    def test_a_refusal_for_lack_of_permission_is_told(self, hub, acme):
        reader = Client(hub, acme.slug, hub.issue_key(acme.slug, scopes=["read"]))
        reader.publish_page("x", status=403)
        assert acme.events()[0].outcome == "refused"

    def test_no_event_holds_a_secret(self, site):
        site.publish_page("x", {}, 422)
        assert site.key.split("_", 2)[2] not in site.get("/api/log").text


class TestQuotas:
    def test_a_page_that_comes_back_counts_as_a_new_one(self, acme):
        publish_texts(acme, "a", path="a")
        acme.delete(f"{PAGES}/a")
        publish_texts(acme, "b", path="b")
        with acme.hub.registry.database.write() as db:
            accounts = acme.hub.accounts(db)
            accounts.set_limits(accounts.organisation(acme.slug), Limits(max_pages=1))
        assert 400 <= roll_back(acme, 1, "a", "*").status_int < 500
        acme.visit("a/", 404)
        acme.delete(f"{PAGES}/b")
        roll_back(acme, 1, "a")


class TestOrder:
    def test_numbers_are_never_used_twice(self, hub_with):
        acme = hub_with(pages__keep_publications="0")
        seen = []
        for number in range(4):
            seen.append(acme.publish_page("x", {"index.html": str(number)})["publication"])
            acme.delete(f"{PAGES}/x")
        assert seen == [1, 2, 3, 4]


def test_taking_a_page_down_twice_removes_nothing_else(acme):
    """A page may be called as if it were a publication of another one."""
    acme.publish_page("x")
    acme.delete("/api/pages/x")
    acme.publish_page("x/publications/1")
    acme.delete("/api/pages/x/publications/1")
    assert (
        acme.delete("/api/pages/x/publications/1", 404).json["detail"] == "not currently published"
    )
    assert [each["publication"] for each in acme.get("/api/pages/x/publications").json] == [1]
