"""Publishers and readers at one moment: every outcome is one of those that an order would give."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hubrepo.kernel.blobs import sweep
from tests.support.archives import page_zip
from tests.support.hub import Client

pytestmark = [pytest.mark.long, pytest.mark.backend]

ROUNDS = 4


def at_once(*acts):
    """What these return, begun at one moment in a thread each."""
    start = threading.Barrier(len(acts))

    def run(act):
        start.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def publisher(acme, path, files):
    """A client of its own that will publish."""
    client, archive = Client(acme.hub, acme.slug, acme.key), page_zip(path, files)
    return lambda: client.upload("/api/pages", archive, status="*")


@pytest.mark.parametrize("paths", [("a", "a/b"), ("a", "a/b", "a/b/c", "a/c")])
def test_of_publishers_whose_paths_overlap_one_wins_for_each_branch(hub, paths):
    for _ in range(ROUNDS):
        acme = hub.organisation()
        answers = at_once(*(publisher(acme, path, {"index.html": path}) for path in paths))
        statuses = dict(zip(paths, (each.status_int for each in answers), strict=True))
        live = sorted(each["path"] for each in acme.get("/api/pages").json)
        assert set(statuses.values()) <= {201, 409}
        assert live == sorted(path for path, status in statuses.items() if status == 201)
        assert live
        for path in live:
            assert not [other for other in live if other.startswith(f"{path}/")]
            assert acme.visit(f"{path}/").text == path
        for each in answers:
            if each.status_int == 409:
                assert (
                    each.json["detail"].removeprefix("path overlaps published page ")[1:-1] in live
                )
        for path in set(paths) - set(live):
            acme.get(f"/api/pages/{path}", 404)
            acme.get(f"/api/pages/{path}/publications", 404)


def test_publishers_of_one_path_both_win_and_have_numbers_of_their_own(hub):
    for _ in range(ROUNDS):
        acme = hub.organisation()
        answers = at_once(
            *(publisher(acme, "site", {"index.html": f"by {name}"}) for name in ("ann", "bob"))
        )
        assert [each.status_int for each in answers] == [201, 201]
        assert sorted(each.json["publication"] for each in answers) == [1, 2]
        newest = max((each.json for each in answers), key=lambda page: page["publication"])
        assert acme.get("/api/pages/site").json == newest
        kept = acme.get("/api/pages/site/publications").json
        assert [(each["publication"], each["live"]) for each in kept] == [(2, True), (1, False)]


def test_the_same_bytes_put_and_released_at_once_are_there_while_anybody_needs_them(hub):
    """Nothing is kept of what is unpublished, so that one lets go of what another puts."""
    acme = hub.organisation()
    archive, registry = page_zip(None, {"index.html": "same"}), hub.registry
    clients = {f"site-{n}": Client(hub, acme.slug, acme.key) for n in range(6)}

    def swap(client, path):
        statuses = []
        for _ in range(4):
            put = client.upload("/api/pages", archive, {"path": path}, status="*")
            number = put.json["publication"]
            taken = client.call("DELETE", f"/api/pages/{path}")
            url = f"/api/pages/{path}/publications/{number}/forget"
            forgotten = client.send_json("POST", url, {}, status="*")
            statuses.append((put.status_int, taken.status_int, forgotten.status_int))
        put = client.upload("/api/pages", archive, {"path": path}, status="*")
        return {*statuses, put.status_int}

    told = at_once(*(lambda c=c, p=p: swap(c, p) for p, c in clients.items()))
    assert set.union(*told) == {201, (201, 204, 204)}
    sweep(registry.database, registry.stores)
    assert {acme.visit(f"{path}/").text for path in clients} == {"same"}


def test_a_limit_of_pages_holds_for_publishers_at_once(hub):
    acme = hub.organisation()
    with hub.registry.database.write() as db:
        hub.accounts(db).organisation(acme.slug).max_pages = 2
    answers = at_once(*(publisher(acme, f"p{number}", None) for number in range(5)))
    statuses = [each.status_int for each in answers]
    assert statuses.count(201) == 2
    assert len(acme.get("/api/pages").json) == 2


def test_publish_unpublish_and_roll_back_at_once_end_in_what_one_order_gives(hub):
    for _ in range(ROUNDS):
        acme = hub.organisation()
        for name in ("one", "two"):
            acme.publish_page("site", {"index.html": name})
        clients = [Client(hub, acme.slug, acme.key) for _ in range(2)]
        answers = at_once(
            publisher(acme, "site", {"index.html": "three"}),
            lambda: clients[0].call("DELETE", "/api/pages/site"),  # noqa: B023
            lambda: clients[1].send_json(  # noqa: B023
                "POST", "/api/pages/site/rollback", {"publication": 1}
            ),
        )
        assert [each.status_int for each in answers] == [201, 204, 200]
        kept = acme.get("/api/pages/site/publications").json
        assert [each["publication"] for each in kept] == [3, 2, 1]
        live = [each["publication"] for each in kept if each["live"]]
        told = [each.action for each in acme.events() if each.action.startswith("pages:")][:3]
        last = told[0]
        expected = {"pages:publish": [3], "pages:roll-back": [1], "pages:unpublish": []}[last]
        assert live == expected
        served = acme.visit("site/", status="*")
        assert served.text == {3: "three", 1: "one"}[live[0]] if live else served.status_int == 404


def test_readers_see_one_generation_or_the_next_and_never_a_gap(hub):
    acme = hub.organisation()
    generations, over, strange = 12, threading.Event(), []

    def site(number):
        return {"index.html": f"{number:04}", "a/b.txt": f"{number:04}" * 40_000}

    acme.publish_page("site", site(0))

    def read():
        last = "0000"
        while not over.is_set():
            for path in ("site/", "site/a/b.txt"):
                answer = acme.visit(path, status="*")
                text = answer.text
                whole = text == text[:4] * (40_000 if path.endswith("txt") else 1)
                if answer.status_int != 200 or not whole or text[:4] < last:
                    strange.append((path, answer.status, text[:99], last))
                    return
                last = text[:4]

    readers = [threading.Thread(target=read) for _ in range(3)]
    for each in readers:
        each.start()
    try:
        for number in range(1, generations):
            acme.publish_page("site", site(number))
    finally:
        over.set()
        for each in readers:
            each.join()
    assert strange == []
    assert acme.visit("site/").text == f"{generations - 1:04}"
