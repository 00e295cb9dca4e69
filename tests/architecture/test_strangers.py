"""What an organisation is answered depends on nothing that another one has or does.

Two hubs: at one a neighbour has things of the very names, in every state, and does whatever the
stranger does a moment before; at the other there is no neighbour at all. The stranger asks both the
same, by every view, and must not be able to tell them apart: not by a status, a header or a byte.

What is published below `/pages/<slug>` is for everybody, so of that only what is not published is asked.
"""

import base64
import itertools
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from hubrepo.features.pages.resources import PublishedResource
from hubrepo.kernel.accounts import SCOPES
from hubrepo.kernel.base import now
from tests.support.archives import make_zip, manifest, package_zip
from tests.support.contract import file_part, multipart, same_answer, statements, text_part
from tests.support.features import HAS_ARTIFACTS
from tests.support.hub import Client, Hub, TokenClient
from tests.support.samples import sampled
from tests.support.views import (
    SAFE,
    View,
    fresh_name,
    live_package,
    named_views,
    neighbours_and_nobodys,
    replaced_page,
    views_of,
)

FORM = "multipart/form-data; boundary=frontier"
OTHER_METHODS = ("OPTIONS", "PATCH")
CONDITIONS: tuple[Mapping[str, str], ...] = (
    {"If-None-Match": "*"},
    {"If-Match": "*"},
    {"Range": "bytes=0-3"},
)

# Who asks what asks for a key, and what asks for a token; those first who may do most.
KEYS = ("service", "user", *SCOPES)
TOKENS = ("admin token", "token") if HAS_ARTIFACTS else ()

# What is random in an answer: keys, tokens and their names, and the ids of events and requests.
RANDOM = re.compile(
    rb"""kpf_[0-9a-f]{8}(_[\w-]{43,})?|(?<="prefix":")[0-9a-f]{8}"""
    rb"|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{16}\b"
    rb"|\b[0-9a-f]{48}\b|(?<=\btoken:)[0-9a-f]{12}\b"
    rb'|"[0-9a-f]{64}"(?=:)|(?<="token":)"[0-9a-f]{64}"'
)
CURSOR = re.compile(r"(?<=cursor=)[\w-]+")

Answer = tuple[int, list[tuple[str, str]], bytes]


def plain(text: bytes) -> bytes:
    """A text, less what is random in it."""
    return RANDOM.sub(lambda found: b"?" * len(found[0]), text)


def plain_header(value: str) -> str:
    """A header's value, less what is random in it, also within a cursor."""
    clear = CURSOR.sub(lambda found: base64.urlsafe_b64decode(found[0] + "===").decode(), value)
    return plain(clear.encode()).decode()


def plain_answer(answer: Answer) -> Answer:
    """All of an answer that may not differ."""
    status, headers, body = answer
    return status, [(name, plain_header(value)) for name, value in headers], plain(body)


@dataclass(frozen=True)
class Asked:
    """A request of the stranger."""

    caller: str
    method: str
    url: str
    body: bytes = b""
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def of(self, client: Client) -> Answer:
        """What the client is answered."""
        client.hub.registry.afterwards.settle()
        sent = {"content_type": self.content_type, "headers": self.headers}
        return same_answer(client.call(self.method, self.url, self.body, **sent))


@dataclass
class Comparison:
    """The same organisation at two hubs, beside a neighbour and alone, asks both the same."""

    neighbour: Client
    crowded: Mapping[str, Client]
    lonely: Mapping[str, Client]

    def ask(self, asked: Asked) -> int:
        """Ask both hubs, the neighbour first; the status."""
        if asked.method not in SAFE:
            asked.of(self.neighbour.artifacts if asked.caller in TOKENS else self.neighbour)
        crowded = plain_answer(asked.of(self.crowded[asked.caller]))
        lonely = plain_answer(asked.of(self.lonely[asked.caller]))
        assert crowded == lonely, asked
        return crowded[0]


def callers_of(
    hub: Hub, slug: str, secrets: Mapping[str, str], moment: datetime
) -> dict[str, Client]:
    """A client for each credential, at a hub whose clock stands still."""
    callers: dict[str, Client] = {
        kind: (TokenClient if kind in TOKENS else Client)(hub, slug, secret)
        for kind, secret in secrets.items()
    }
    hub.registry.clock = lambda: moment
    # That a key was used is noted afterwards, and with this clock never again.
    for kind, caller in callers.items():
        caller.get("/product/access" if kind in TOKENS else "/api/organisation")
    hub.registry.afterwards.settle()
    return callers


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comparison]:
    folder = tmp_path_factory.mktemp("strangers")
    first = Hub.below(folder / "lonely")
    stranger = first.organisation()
    secrets = {"service": stranger.key, "user": first.issue_key(stranger.slug, "ann")}
    secrets |= {scope: first.issue_key(stranger.slug, scopes=[scope]) for scope in SCOPES}
    secrets |= {kind: first.issue_token(stranger.slug, admin=kind == TOKENS[0]) for kind in TOKENS}
    first.registry.database.close()
    shutil.copytree(folder / "lonely", folder / "crowded")
    moment, hubs = now(), [Hub.below(folder / each) for each in ("crowded", "lonely")]
    neighbour = hubs[0].organisation(user="ben")
    sides = [callers_of(hub, stranger.slug, secrets, moment) for hub in hubs]
    yield Comparison(neighbour, *sides)
    for hub in hubs:
        hub.registry.database.close()


def requests_of(view: View, state: str, url: str, name: str) -> Iterator[Asked]:
    """Every way in which the stranger asks a view about one thing; what changes nothing first."""
    callers = TOKENS if str(view.permission).startswith("artifacts:") else KEYS
    for method in sorted(
        {*view.methods, *OTHER_METHODS}, key=lambda each: (each not in SAFE, each)
    ):
        body, content_type = view.body(method, state, name)
        # The neighbour, who asks the same first, used the key too.
        sent = {"Idempotency-Key": f"{name}-{url}"} if method == "POST" else {}
        is_view = method in view.methods and method != "HEAD"
        for caller in callers if is_view else callers[:1]:
            yield Asked(caller, method, url, body, content_type, sent)
        if method == "GET":
            for headers in CONDITIONS:
                yield Asked(callers[0], method, url, headers=headers)
            yield Asked(callers[0], method, f"{url}?limit=1")


def compare(comparison: Comparison, view: View, state: str) -> set[int]:
    """Ask about the neighbour's thing; about another one, once the stranger has one of that name."""
    requests, statuses = None, set()
    for number in itertools.count():
        if requests is None:
            name = view.place.states[state](comparison.neighbour, fresh_name())
            url = view.url(comparison.neighbour, name)
            requests = itertools.islice(requests_of(view, state, url, name), number, None)
        if (asked := next(requests, None)) is None:
            break
        status = comparison.ask(asked)
        statuses.add(status)
        if status < 400 and asked.method not in SAFE:
            requests = None
    return statuses


@pytest.mark.stress
def test_nobody_can_tell_whether_another_organisation_has_a_thing(
    comparison: Comparison, seed: int
):
    cases = [
        (view, state)
        for view in views_of(comparison.neighbour.hub)
        for state in view.place.states
        # What runs the hub tells of all that happens to it.
        if view.name != "metrics" and (view.context, state) != (PublishedResource, "live")
    ]
    for view, state in sampled(cases, seed):
        assert 422 not in compare(comparison, view, state), (view, state)


def forms(neighbour: Client, name: str) -> Iterator[Asked]:
    """Uploads that speak of the package `name` of the neighbour."""
    at = f"/api/packages/{name}-2/versions"
    history = neighbour.get(f"/api/packages/{name}/history").text
    claiming = make_zip({"package.toml": manifest(f"{name}-2"), "HISTORY.md": history})
    for field_name, value in (("forked_from", f"{name}@1"), ("parent_version", "2")):
        parts = [text_part(field_name, value), file_part(package_zip(f"{name}-2"))]
        yield Asked("service", "POST", at, multipart(parts), FORM)
    parts = [text_part("parent_version", "2"), file_part(package_zip(name))]
    yield Asked("service", "POST", f"/api/packages/{name}/versions", multipart(parts), FORM)
    yield Asked("service", "POST", at, multipart([file_part(claiming)]), FORM)


def cursors(neighbour: Client, name: str) -> Iterator[Asked]:
    """Listings from behind a thing of the neighbour."""
    event = neighbour.get("/api/log?limit=1").json[0]["id"]
    page = neighbour.get("/api/pages?limit=1").json[0]
    after = {
        "/api/packages": name,
        "/api/log": event,
        f"/api/packages/{name}/log": event,
        f"/api/packages/{name}/versions": "2",
        "/api/pages": f"{page['published_at']} {page['path']}",
        f"/api/pages/{name}/publications": "2",
    }
    for path, last in after.items():
        cursor = base64.urlsafe_b64encode(last.encode()).rstrip(b"=").decode()
        yield Asked("service", "GET", f"{path}?limit=2&cursor={cursor}")


def validators(neighbour: Client, name: str) -> Iterator[Asked]:
    """Conditions that hold for bytes of the neighbour."""
    path = f"/api/packages/{name}/versions/1/download"
    etag = neighbour.get(path).headers["ETag"]
    for condition in ("If-None-Match", "If-Match", "If-Range"):
        yield Asked("service", "GET", path, headers={condition: etag, "Range": "bytes=0-3"})


def keyed(neighbour: Client, name: str) -> Iterator[Asked]:
    """An Idempotency-Key that the neighbour had used for something else."""
    sent = {"Idempotency-Key": f"key-{name}"}
    neighbour.send_json("POST", "/api/packages", {"name": f"{name}-3"}, 201, headers=sent)
    body = json.dumps({"name": f"{name}-4"}).encode()
    for _ in range(2):
        yield Asked("service", "POST", "/api/packages", body, "application/json", sent)


def artifacts(neighbour: Client, name: str) -> Iterator[Asked]:
    """A product of the stranger that is to have to do with tokens, names and bytes of the neighbour."""
    from tests.features.artifacts.places import live_product

    live_product(neighbour, name)
    token, own, at = neighbour.token(), f"{name}-own", "/product/modify"
    content = neighbour.artifacts.fetched(name, "v1")
    etag = neighbour.artifacts.get(f"/product/download/{name}/v1").headers["ETag"]

    def asked(method: str, url: str, **value: object) -> Asked:
        body = json.dumps(value).encode() if value else b""
        return Asked(TOKENS[0], method, url, body, "application/json")

    yield asked("PUT", "/product/create", name=own)
    for which in (token.key, token.digest, "0" * 64):
        yield asked("GET", f"/fetch/{which}")
        yield asked("DELETE", f"{at}/deleteToken", product=own, token=which)
        for product in (own, name):
            flags = {"permissions": {"download": True}}
            yield asked("PUT", f"{at}/addToken", product=product, token=which, **flags)
    for product, version in ((own, "v1"), (own, "v1"), (own, "v2"), (name, "v1"), (name, "v2")):
        parts = [text_part("product", product), text_part("version", version), file_part(content)]
        yield Asked(TOKENS[0], "POST", "/product/upload", multipart(parts), FORM)
        for condition in ("If-None-Match", "If-Match", "If-Range"):
            sent = {condition: etag, "Range": "bytes=0-3"}
            url = f"/product/download/{product}/{version}"
            yield Asked(TOKENS[0], "GET", url, headers=sent)
    yield asked("GET", f"/product/fetch/{own}")
    yield asked("GET", "/product/access")


# What asks of things in other words than their addresses.
ASKING = [forms, cursors, validators, keyed, *([artifacts] if HAS_ARTIFACTS else [])]


def test_nor_by_what_is_told_of_it_in_another_request(comparison: Comparison):
    neighbour, name = comparison.neighbour, fresh_name()
    live_package(neighbour, name)
    replaced_page(neighbour, name)
    for ask_of in ASKING:
        for asked in ask_of(neighbour, name):
            comparison.ask(asked)
    # All that the stranger may read of themselves, in the end.
    for path in ("organisation", "keys", "members", "log?limit=1000", "packages", "pages"):
        assert comparison.ask(Asked("service", "GET", f"/api/{path}")) == 200


def test_an_organisation_without_pages_is_to_visitors_none(acme: Client):
    for method in ("GET", "HEAD", "OPTIONS", "POST"):
        answers = [
            same_answer(
                acme.hub.app().request(f"/pages/{slug}/nothing/", method=method, status="*")
            )
            for slug in (acme.slug, "no-organisation")
        ]
        assert answers[0] == answers[1]


@pytest.mark.long
@pytest.mark.backend
def test_a_neighbours_thing_is_answered_like_a_missing_one_by_the_same_statements(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
):
    """How long an answer takes is measured in `tests/stress/test_times_of_strangers.py`."""
    neighbour, stranger = hub.organisation(), hub.organisation()
    moment, tried = now(), 0
    # That a key was used is noted once, and with this clock never again.
    monkeypatch.setattr(hub.registry, "clock", lambda: moment)
    stranger.get("/api/organisation")
    if HAS_ARTIFACTS:
        stranger.artifacts.get("/product/access")
    for view, method in named_views(hub):
        caller = stranger.artifacts if str(view.permission).startswith("artifacts:") else stranger
        seen = []
        for name in neighbours_and_nobodys(view, neighbour):
            body, content_type = view.body(method, "live", name)
            # What was remembered of reads counts no more once anybody has written.
            neighbour.send_json("POST", "/api/packages", {"name": fresh_name()}, 201)
            with statements(hub) as told:
                url = view.url(neighbour, name)
                answer = caller.call(method, url, body, content_type=content_type)
                hub.registry.afterwards.settle()
            status, headers, content = same_answer(answer)
            named = name.removeprefix("kpf_").encode()
            seen.append((status, told, status == 201 or (headers, content.replace(named, b"?"))))
        assert seen[0] == seen[1], (method, view.path)
        assert seen[0][0] in {201, 404}, (method, view.path)
        tried += 1
    assert tried > 40
