"""`?limit=&cursor=` and `Link`: D37. Without them a listing is complete."""

import base64
import re

import pytest

PACKAGES = "/api/packages"
VERSIONS = "/api/packages/p3/versions"
LOGS = ["/api/packages/p3/log", "/api/log"]


@pytest.fixture(scope="module")
def shelf(hub):
    """A client whose organisation has the packages p0 to p6, of which p3 has seven versions."""
    client = hub.organisation()
    for number in range(7):
        client.send_json("POST", PACKAGES, {"name": f"p{number}"}, 201)
    for _ in range(7):
        client.publish("p3")
    return client


def next_url(response):
    """Where `Link` says that the next page is; None on the last one."""
    link = response.headers.get("Link")
    if link is None:
        return None
    match = re.fullmatch(r'<([^>]+)>; rel="?next"?', link)
    assert match, link
    return re.sub("^https?://[^/]+", "", match[1])


def pages(client, url):
    while url is not None:
        response = client.get(url)
        yield response.json
        url = next_url(response)


def items(client, url):
    """What all pages from `url` on have, in their order."""
    return [item for page in pages(client, url) for item in page]


@pytest.mark.backend
@pytest.mark.parametrize("path", [PACKAGES, VERSIONS])
def test_pages_are_together_the_complete_listing(shelf, path):
    complete = shelf.get(path)
    assert len(complete.json) == 7
    assert "Link" not in complete.headers
    for limit in (1, 2, 3, 6, 7, 8, 100):
        found = list(pages(shelf, f"{path}?limit={limit}"))
        assert [item for page in found for item in page] == complete.json
        assert all(len(page) == limit for page in found[:-1])
        assert 1 <= len(found[-1]) <= limit
    assert shelf.get(f"{path}/?limit=2").json == complete.json[:2]


@pytest.mark.parametrize("path", [PACKAGES, VERSIONS, *LOGS])
def test_a_query_that_cannot_be_is_400(shelf, path):
    for query in (
        *("limit=0", "limit=-1", "limit=x", "limit=", "limit=1.5", "limit=٣", "limit=" + "9" * 30),
        *("limit=1&cursor=%ff", "limit=1&cursor=%00", "cursor=!!!", "cursor=", "cursor=AA"),
        "cursor=é",
    ):
        assert list(shelf.get(f"{path}?{query}", 400).json) == ["detail"]


@pytest.mark.backend
def test_a_forged_cursor_or_one_of_another_listing_is_no_error_of_the_hub(shelf):
    texts = ("9" * 30, "-1", "0", "1e9", "²", "٣", "\U0010ffff", "x" * 9999)
    cursors = {base64.urlsafe_b64encode(text.encode()).decode().rstrip("=") for text in texts}
    for path in (PACKAGES, VERSIONS, "/api/log"):
        link = next_url(shelf.get(f"{path}?limit=1"))
        cursors.add(link.split("cursor=")[1].split("&")[0])
    for path in (PACKAGES, VERSIONS, *LOGS):
        for cursor in cursors:
            assert shelf.get(f"{path}?limit=2&cursor={cursor}", "*").status_int in {200, 400}


@pytest.mark.backend
def test_what_comes_meanwhile_is_neither_skipped_nor_repeated(acme):
    for name in ("b", "d", "f"):
        acme.send_json("POST", PACKAGES, {"name": name}, 201)
    first = acme.get(f"{PACKAGES}?limit=2")
    for name in ("a", "c", "e"):
        acme.send_json("POST", PACKAGES, {"name": name}, 201)
    rest = items(acme, next_url(first))
    assert [each["name"] for each in first.json + rest] == ["b", "d", "e", "f"]


@pytest.mark.backend
def test_names_of_any_script_can_be_paged(acme):
    names = sorted(["é", "日本", "a", "Z", "\U00010330"])
    for name in names:
        acme.send_json("POST", PACKAGES, {"name": name}, 201)
    assert [each["name"] for each in items(acme, f"{PACKAGES}?limit=1")] == names


@pytest.mark.backend
def test_a_log_is_always_paged_and_complete(shelf):
    for path in LOGS:
        few = items(shelf, f"{path}?limit=3")
        assert few == items(shelf, path)
        ids = [each["id"] for each in few]
        assert len(ids) == len(set(ids))
        times = [each["at"] for each in few]
        assert times == sorted(times, reverse=True)
    assert shelf.get("/api/packages/nothing/log", 404)
