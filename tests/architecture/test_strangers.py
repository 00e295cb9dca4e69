"""What an organisation is answered depends on nothing that another one has or does.

One stranger asks for what a neighbour has, another one for what nobody has. They must not be able to tell
which is which: not by a status, a header or a byte, nor by the statements that the answer costs.

What is published below `/pages/<slug>` is for everybody, so of that only what is not published is asked.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

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
    missing_like,
    replaced_page,
    views_of,
)

FORM, JSON = "multipart/form-data; boundary=frontier", "application/json"
CONDITIONS = ({"If-None-Match": "*"}, {"If-Match": "*"}, {"Range": "bytes=0-3"})
# Who asks what asks for a key, and what asks for a token; those first who may do most.
KEYS = ("service", "user", *SCOPES)
TOKENS = ("admin token", "token") if HAS_ARTIFACTS else ()

# What is a stranger's own in an answer: keys, digests, ids, names, moments, and sizes.
OWN = re.compile(
    rb"""kpf_\w{8}(_[\w-]{43,})?|"prefix":"\w{8}"|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"""
    rb"""|\b[0-9a-f]{12,64}\b|\b(org|ORG|thing)-\d+|\d{4}-\d\d-\d\dT[\d:.]+Z|cursor=[\w-]+"""
    rb"""|"(size|stored_bytes)":\d+|'Content-Length', '\d+'"""
)


@dataclass(frozen=True)
class Asked:
    """A request of a stranger."""

    caller: str
    method: str
    url: str
    body: bytes = b""
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@pytest.fixture
def strangers(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> "Strangers":
    moment = now()
    # That a key was used is noted once, and with this clock never again.
    monkeypatch.setattr(hub.registry, "clock", lambda: moment)
    return Strangers(hub)


class Strangers:
    """A neighbour, and two strangers with their credentials."""

    def __init__(self, hub: Hub) -> None:
        self.hub, self.neighbour = hub, hub.organisation()
        self.both = [self._callers(hub.organisation()) for _ in range(2)]

    def _callers(self, owner: Client) -> dict[str, Client]:
        keys = {
            "service": owner.key,
            "user": self.hub.issue_key(owner.slug, f"user-of-{owner.slug}"),
        }
        keys |= {scope: self.hub.issue_key(owner.slug, scopes=[scope]) for scope in SCOPES}
        callers = {kind: Client(self.hub, owner.slug, key) for kind, key in keys.items()}
        callers |= {kind: owner.token(admin=kind == TOKENS[0]) for kind in TOKENS}
        for each in callers.values():
            is_token = isinstance(each, TokenClient)
            each.get("/product/access" if is_token else "/api/organisation")
        return callers

    def ask(self, theirs: Asked, nobodys: Asked, names: tuple[str, str]) -> int:
        """Ask for what the neighbour has, and for what nobody has; the status."""
        seen: list[tuple[Any, ...]] = []
        for callers, asked, name in zip(self.both, (theirs, nobodys), names, strict=True):
            # What was remembered of reads counts no more once anybody has written.
            self.neighbour.send_json("POST", "/api/packages", {"name": fresh_name()}, 201)
            sent = {"content_type": asked.content_type, "headers": asked.headers}
            with statements(self.hub) as told:
                answer = callers[asked.caller].call(asked.method, asked.url, asked.body, **sent)
                self.hub.registry.afterwards.settle()
            status, headers, body = same_answer(answer)
            said = (repr(headers).encode() + body).replace(name.removeprefix("kpf_").encode(), b"?")
            seen.append((status, told, OWN.sub(b"?", said)))
        assert seen[0] == seen[1], theirs
        # Who asks for what nobody has is not told of what the neighbour has, either.
        assert names[0].encode() not in body, theirs
        return int(seen[0][0])


def requests_of(view: View, state: str, url: str, name: str, *, thorough: bool) -> Iterator[Asked]:
    """Every way in which a stranger asks a view about one thing; what changes nothing first."""
    callers = TOKENS if str(view.permission).startswith("artifacts:") else KEYS
    methods = {*view.methods, "OPTIONS", "PATCH"} if thorough else set(view.methods)
    for method in sorted(methods, key=lambda each: (each not in SAFE, each)):
        body, content_type = view.body(method, state, name)
        sent = {"Idempotency-Key": f"{name}-{url}"} if method == "POST" else {}
        is_view = thorough and method in view.methods and method != "HEAD"
        for caller in callers if is_view else callers[:1]:
            yield Asked(caller, method, url, body, content_type, sent)
        if method == "GET" and thorough:
            for headers in CONDITIONS:
                yield Asked(callers[0], method, url, headers=headers)
            yield Asked(callers[0], method, f"{url}?limit=1")


def compare(strangers: Strangers, view: View, state: str, *, thorough: bool) -> None:
    """Ask about a thing of the neighbour and a missing one; about others, once a stranger has made them."""
    neighbour, done, is_made = strangers.neighbour, 0, True
    while is_made:
        theirs = view.place.states[state](neighbour, fresh_name())
        names, is_made = (theirs, missing_like(theirs)), False
        asked = [
            list(requests_of(view, state, view.url(neighbour, each), each, thorough=thorough))
            for each in names
        ]
        for pair in list(zip(*asked, strict=True))[done:]:
            done += 1
            is_made = strangers.ask(*pair, names) < 400 and pair[0].method not in SAFE
            if is_made:
                break


def cases(hub: Hub) -> list[tuple[View, str]]:
    """Every view of a thing, in every state; what runs the hub tells of all that happens to it."""
    return [
        (view, state)
        for view in views_of(hub)
        for state in view.place.states
        if state != "always" and view.name != "metrics"
        if (view.context, state) != (PublishedResource, "live")
    ]


@pytest.mark.long
@pytest.mark.backend
def test_a_neighbours_thing_is_answered_like_a_missing_one_by_the_same_statements(
    strangers: Strangers,
):
    """How long it takes is measured in `tests/stress/test_times_of_strangers.py`."""
    live = [(view, state) for view, state in cases(strangers.hub) if state == "live"]
    assert len(live) > 40
    for view, state in live:
        compare(strangers, view, state, thorough=False)


@pytest.mark.stress
def test_nobody_can_tell_in_which_state_a_thing_of_another_is(strangers: Strangers, seed: int):
    for view, state in sampled(cases(strangers.hub), seed):
        compare(strangers, view, state, thorough=True)


def facts_of(neighbour: Client, name: str) -> dict[str, Any]:
    """What a stranger may have heard of the neighbour's things of that name."""
    live_package(neighbour, name)
    replaced_page(neighbour, name)
    key = {"Idempotency-Key": f"key-{name}"}
    neighbour.send_json("POST", "/api/packages", {"name": f"{name}-3"}, 201, headers=key)
    page = neighbour.get("/api/pages?limit=1").json[0]
    download = neighbour.get(f"/api/packages/{name}/versions/1/download")
    facts = {
        "name": name, "history": neighbour.get(f"/api/packages/{name}/history").text,
        "event": neighbour.get("/api/log?limit=1").json[0]["id"],
        "page": f"{page['published_at']} {page['path']}", "etag": download.headers["ETag"],
    }  # fmt: skip
    if HAS_ARTIFACTS:
        neighbour.artifacts.create(name)
        neighbour.artifacts.put(name, "v1", f"the artifact {name}".encode())
        token = neighbour.token()
        facts |= {"token": token.key, "digest": token.digest}
    return facts


def questions(facts: Mapping[str, Any]) -> Iterator[Asked]:
    """What asks of things in other words than their addresses."""
    name, etag = facts["name"], facts["etag"]
    # Listings from behind a thing.
    for path, last in {
        "packages": name, "log": facts["event"], f"packages/{name}/log": facts["event"],
        f"packages/{name}/versions": "2", "pages": facts["page"], f"pages/{name}/publications": "2",
    }.items():  # fmt: skip
        cursor = base64.urlsafe_b64encode(last.encode()).rstrip(b"=").decode()
        yield Asked("service", "GET", f"/api/{path}?limit=2&cursor={cursor}")
    # Conditions that hold for its bytes.
    for condition in ("If-None-Match", "If-Match", "If-Range"):
        sent = {condition: etag, "Range": "bytes=0-3"}
        yield Asked("service", "GET", f"/api/packages/{name}/versions/1/download", headers=sent)
    # An Idempotency-Key, and uploads that speak of a package.
    for _ in range(2):
        body = json.dumps({"name": f"{name}-4"}).encode()
        yield Asked(
            "service", "POST", "/api/packages", body, JSON, {"Idempotency-Key": f"key-{name}"}
        )
    claim = make_zip({"package.toml": manifest(f"{name}-2"), "HISTORY.md": facts["history"]})
    for package, archive, fields in (
        (f"{name}-2", package_zip(f"{name}-2"), {"forked_from": f"{name}@1"}),
        (f"{name}-2", package_zip(f"{name}-2"), {"parent_version": "2"}),
        (name, package_zip(name), {"parent_version": "2"}),
        (f"{name}-2", claim, {}),
    ):
        form = multipart([*(text_part(*each) for each in fields.items()), file_part(archive)])
        yield Asked("service", "POST", f"/api/packages/{package}/versions", form, FORM)


def questions_of_artifacts(facts: Mapping[str, Any]) -> Iterator[Asked]:
    """A product of the stranger that is to have to do with tokens, names and bytes of somebody."""
    name, own, at = facts["name"], f"{facts['name']}-own", "/product/modify"

    def asked(method: str, url: str, **value: object) -> Asked:
        body = json.dumps(value).encode() if value else b""
        return Asked(TOKENS[0], method, url, body, JSON)

    yield asked("PUT", "/product/create", name=own)
    for token in (facts["token"], facts["digest"]):
        yield asked("GET", f"/fetch/{token}")
        yield asked("DELETE", f"{at}/deleteToken", product=own, token=token)
        for product in (own, name):
            granted = {"product": product, "token": token, "permissions": {"download": True}}
            yield asked("PUT", f"{at}/addToken", **granted)
    content = f"the artifact {name}".encode()
    for product, version in ((own, "v1"), (own, "v1"), (own, "v2"), (name, "v1"), (name, "v2")):
        parts = [text_part("product", product), text_part("version", version), file_part(content)]
        yield Asked(TOKENS[0], "POST", "/product/upload", multipart(parts), FORM)
    for product in (own, name):
        yield asked("GET", f"/product/fetch/{product}")
    yield asked("GET", "/product/access")


def test_nor_by_what_is_told_of_it_in_another_request(strangers: Strangers):
    name, other = fresh_name(), fresh_name()
    theirs = facts_of(strangers.neighbour, name)
    nobodys = {fact: str(value).replace(name, other) for fact, value in theirs.items()}
    nobodys |= {
        "event": str(uuid4()),
        "etag": f'"{"0" * 64}"',
        "token": "0" * 48,
        "digest": "0" * 64,
    }
    for ask in (questions, questions_of_artifacts) if HAS_ARTIFACTS else (questions,):
        for pair in zip(ask(theirs), ask(nobodys), strict=True):
            strangers.ask(*pair, (name, other))
    # All that the strangers may read of themselves, refusals in their log among it.
    for path in ("organisation", "keys", "members", "log?limit=1000", "packages", "pages"):
        asked = Asked("service", "GET", f"/api/{path}")
        assert strangers.ask(asked, asked, (name, other)) == 200


def test_an_organisation_without_pages_is_to_visitors_none(acme: Client):
    for method in ("GET", "HEAD", "OPTIONS", "POST"):
        answers = [
            same_answer(
                acme.hub.app().request(f"/pages/{slug}/nothing/", method=method, status="*")
            )
            for slug in (acme.slug, "no-organisation")
        ]
        assert answers[0] == answers[1]
