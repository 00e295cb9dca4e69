"""Schemathesis over a hub: requests made of its description, and what it says of the answers.

It reads `/api/openapi.json` from a hub that listens, as anybody may, and makes requests that fit it and
requests that do not. A `World` sees to it that those that fit find what they speak of: a package with
versions, a page with publications, a product with an artifact, an archive whose manifest is right. So they
get further than 404.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import quote, unquote

import schemathesis
from schemathesis.core import NotSet
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import from_schema
from schemathesis.generation.meta import TestPhase
from schemathesis.hooks import unregister
from webtest.http import StopableWSGIServer

from tests.support.archives import package_zip, page_zip
from tests.support.hub import HAS_ARTIFACTS, Client, Hub

# A tombstone is a state, like a conflict: requests meet it, whether they fit the description or not.
FITTING = ["2xx", "3xx", "401", "403", "404", "409", "410", "429", "5xx"]
UNFITTING = ["400", "401", "403", "404", "405", "409", "410", "413", "415", "422", "429", "5xx"]
# OPTIONS is answered everywhere, as the introduction says once for all.
QUERY = ParameterLocation.QUERY
UNEXPECTED_METHODS = ["get", "post", "put", "delete", "patch", "trace"]


@dataclass
class World:
    """What there is in the organisation of `client`, and keeps being there."""

    client: Client
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        # What is only read is there from the beginning.
        self._publish("library")
        for _ in range(2):
            self.client.publish_page("site/kept")

    def complete(self, case: Any) -> None:
        """Make a request that fits the description one that finds what it speaks of."""
        path, wanted = case.operation.path, next(self._numbers)
        case.freeze_metadata()
        # Some ask for whatever came to mind; what another answer told may be no name of such a thing.
        is_stateful = case.meta is not None and case.meta.phase.name is TestPhase.STATEFUL
        is_sought = wanted % 5 or is_stateful
        if case.path_parameters and not _is_negative(case, ParameterLocation.PATH) and is_sought:
            found = self._found(case.method, path, wanted)
            case.path_parameters = {
                name: found.get(name, value) for name, value in case.path_parameters.items()
            }
        if case.meta is None or case.meta.generation.mode.is_positive:
            self._fill(case, path, wanted)
        has_body = not isinstance(case.body, NotSet) and case.body
        if "/modify/delete" in path and not has_body and not _is_negative(case, QUERY):
            # What no body says the query does.
            case.query = self._artifact(path, wanted)
        self._spare(case)
        # What was put in fits as well as what it took the place of; of bytes that could not be seen.
        for location in list(case.meta.components) if case.meta is not None else ():
            case.meta.clear_dirty(location)

    def _spare(self, case: Any) -> None:
        """Its own key and token are not what it shall revoke, rotate or prune: they stand in answers."""
        own = {"prefix": self.client.key.split("_")[1]}
        if HAS_ARTIFACTS:
            own["token"] = self.client.artifacts.digest
        for name, value in own.items():
            if value in str(case.path_parameters.get(name)):
                told = str(case.path_parameters[name]).replace(value, "0" * len(value))
                case.path_parameters = {**case.path_parameters, name: told}

    def _found(self, method: str, path: str, number: int) -> dict[str, object]:
        client, is_read = self.client, method == "GET"
        if "/packages/" in path:
            name = "library" if is_read else f"gadget-{number % 3}"
            version = 1 if is_read else self._publish(name)
            if "{alias}" in path and not is_read:
                target = f"/api/packages/{name}/aliases/stable"
                client.send_json("PUT", target, {"version": version})
            return {"name": name, "version": version, "alias": "latest" if is_read else "stable"}
        if "/pages/" in path:
            page = "site/kept" if is_read else f"site/p{number % 3}"
            made = [client.publish_page(page)["publication"] for _ in range(0 if is_read else 2)]
            publication, other = made or (1, 2)
            past = {"publication": publication, "other": other}
            return {"slug": client.slug, "address": f"{page}/index.html", "path": page, **past}
        if "/keys/" in path:
            return {"prefix": client.hub.issue_key(client.slug)[:12]}
        if "/members/" in path:
            client.hub.issue_key(client.slug, user := f"user-{client.slug}")
            return {"username": user}
        is_artifacts = path.startswith(("/product/", "/fetch/", "/prune/"))
        return self._artifact(path, number) if is_artifacts else {}

    def _artifact(self, path: str, number: int) -> dict[str, object]:
        """A product with a version, and a token that has a grant there, by its digest."""
        admin, product = self.client.artifacts, f"product-{number % 3}"
        admin.send_json("PUT", "/product/create", {"name": product}, "*")
        admin.put(product, "v1", status="*")
        token = self.client.token()
        admin.grant(product, token, "download")
        if path.startswith(("/fetch/", "/prune/")):
            return {"token": token.key}
        if path.endswith("Token"):
            return {"product": product, "token": token.digest}
        is_new = path == "/product/upload"
        return {"product": product, "version": f"v1.{number}" if is_new else "v1"}

    def _publish(self, name: str) -> int:
        address = f"/api/packages/{quote(name)}/versions"
        answer = self.client.upload(address, package_zip(name), status="*")
        number: int = answer.json.get("version", 1)
        return number

    def _fill(self, case: Any, path: str, number: int) -> None:
        if case.query:
            # What a cursor is the hub alone knows.
            case.query = {key: value for key, value in case.query.items() if key != "cursor"}
        fitting = {"If-Match": "*", "Range": "bytes=0-1", "Idempotency-Key": f"request-{number}"}
        case.headers.update({name: fitting[name] for name in fitting if name in case.headers})
        if not isinstance(case.body, dict):
            return
        body, name = dict(case.body), unquote(str(case.path_parameters.get("name")))
        if path.startswith("/product/") and "product" in body:
            body.pop("checksum", None)
            body.update(self._artifact(path, number))
        elif "file" in body:
            is_page = path == "/api/pages"
            body["file"] = page_zip(f"site/p{number % 3}") if is_page else package_zip(name)
            # There is no such ancestor, and who comes first is first.
            for field_name in ("forked_from", "parent_version"):
                body.pop(field_name, None)
        if "version" in body and path.endswith("{alias}"):
            body["version"] = self._publish(name)
        if "publication" in body:
            body["publication"] = 1
        if body.get("expires_at"):
            body["expires_at"] = "2126-01-31T12:00:00Z"
        # A form has no null.
        is_json = case.media_type == "application/json"
        case.body = {key: value for key, value in body.items() if is_json or value is not None}


def _is_negative(case: Any, location: ParameterLocation) -> bool:
    return case.meta is not None and case.meta.is_negative_at(location)


@dataclass
class Report:
    """What came of it: how often each operation was answered with each status, and what was wrong."""

    answers: dict[str, Counter[int]] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """How many there were."""
        return sum(each.total() for each in self.answers.values())

    def note(self, event: Any) -> None:
        """Keep what an event of the engine tells."""
        if (recorder := getattr(event, "recorder", None)) is not None:
            answers = self.answers.setdefault(recorder.label, Counter())
            for each in recorder.interactions.values():
                if each.response is not None:
                    answers[each.response.status_code] += 1
            for checks in recorder.checks.values():
                self.complaints += [
                    f"{recorder.label}: {each.name}: {told.failure.title}: {told.failure.message}\n"
                    f"{told.code_sample}"
                    for each in checks
                    if (told := each.failure_info) is not None
                ]
        elif (error := getattr(event, "value", getattr(event, "exception", None))) is not None:
            self.complaints.append(f"{getattr(event, 'label', 'fatal')}: {error!r}")


@contextmanager
def listening(hub: Hub) -> Iterator[str]:
    """The URL of a hub of this process."""
    server = StopableWSGIServer.create(hub.wsgi, host="127.0.0.1", threads=4)
    try:
        yield server.application_url.rstrip("/")
    finally:
        server.shutdown()
        server.runner.join()


def explore(
    hub: Hub,
    *,
    examples: int,
    seed: int | None = None,
    paths: str = "",
    seconds: float | None = None,
) -> Report:
    """Call a hub by its own description: the same requests for the same seed, and without one.

    `examples` for each operation and phase, of the `paths` that match; for so many `seconds` at most.
    """
    client = hub.organisation()
    report, world = Report(), World(client)
    config = schemathesis.Config.from_dict(
        {
            **({"seed": seed} if seed is not None else {}),
            "headers": {
                name.removeprefix("HTTP_").replace("_", "-").title(): value
                for name, value in client.credentials.items()
            },
            "generation": {
                "max-examples": examples,
                "deterministic": seed is None,
                "database": "none",
            },
            "checks": {
                "positive_data_acceptance": {"expected-statuses": FITTING},
                "negative_data_rejection": {"expected-statuses": UNFITTING},
                # What a request speaks of is chosen by the world, not by the answer it followed from.
                "ensure_resource_availability": {"enabled": False},
                # What was deleted may be there again, by the world; and a tombstone keeps its history.
                "use_after_free": {"enabled": False},
            },
            "phases": {"coverage": {"unexpected-methods": UNEXPECTED_METHODS}},
            "cache": {"enabled": False},
            **({"max-time": int(seconds)} if seconds is not None else {}),
        }
    )

    def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
        world.complete(case)

    schemathesis.hook(before_call)
    try:
        with listening(hub) as url:
            schema = schemathesis.openapi.from_url(f"{url}/api/openapi.json", config=config)
            for event in from_schema(schema.include(path_regex=paths)).execute():
                report.note(event)
    finally:
        unregister(before_call)
    return report
