"""The description is valid OpenAPI 3.1, tells of every view, and of nothing that is not there."""

import copy
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from pyramid.exceptions import ConfigurationConflictError
from pyramid.scripting import prepare
from pyramid.security import NO_PERMISSION_REQUIRED

import hubrepo
from hubrepo.features.packages.description import DESCRIPTION as PACKAGES
from hubrepo.kernel.base import Misconfigured
from hubrepo.kernel.openapi import Answer, Description, Operation
from hubrepo.kernel.web import RegisteredView, RootResource, Traverser
from tests.support.hub import Client, Hub

DRAFT = {"$schema": "https://json-schema.org/draft/2020-12/schema"}


SETTINGS = {"hubrepo.database": "sqlite://", "hubrepo.blobs": "mem://"}


@pytest.fixture(scope="module")
def document(hub: Hub) -> dict[str, Any]:
    return hub.registry.document.content


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method.upper(), each)
        for path, methods in document["paths"].items()
        for method, each in methods.items()
    ]


def parts_of(document: Any) -> Iterator[dict[str, Any]]:
    """Every object somewhere in a document."""
    if isinstance(document, list):
        for each in document:
            yield from parts_of(each)
    elif isinstance(document, dict):
        yield document
        yield from parts_of(list(document.values()))


def test_it_is_what_openapi_3_1_asks_for(document):
    schemathesis.openapi.from_dict(document).validate()
    broken = copy.deepcopy(document)
    del broken["paths"]["/api/packages"]["get"]["responses"]["200"]["description"]
    with pytest.raises(jsonschema_rs.ValidationError):
        schemathesis.openapi.from_dict(broken).validate()


def test_every_schema_is_a_json_schema_whose_references_lead_somewhere(document):
    named = document["components"]["schemas"]
    used = [each["schema"] for each in parts_of(document) if isinstance(each.get("schema"), dict)]
    for each in [*named.values(), *used]:
        jsonschema_rs.meta.validate({**DRAFT, **each})
        jsonschema_rs.Draft202012Validator({**each, "components": {"schemas": named}})


def test_every_example_is_what_its_schema_says(document):
    components = {"schemas": document["components"]["schemas"]}
    examples = [
        (each["schema"], each["example"])
        for each in parts_of(document["paths"])
        if "example" in each and "schema" in each
    ]
    assert len(examples) > 100
    for name, schema in components["schemas"].items():
        assert schema["description"], name
        for each in schema["properties"].values():
            examples += [(each, example) for example in each.get("examples", ())]
    for schema, example in examples:
        whole = {**schema, "components": components}
        jsonschema_rs.Draft202012Validator(whole).validate(example)


def test_every_view_is_described(hub: Hub):
    assert hub.registry.document.undescribed == []


def test_a_view_that_nobody_describes_is_told(tmp_path):
    def undescribed(_context: object, _request: object) -> None: ...

    config = hubrepo.configure(SETTINGS)
    config.add_view(undescribed, context=RootResource, name="more", request_method="GET")
    config.commit()
    hubrepo.settle(config)
    hubrepo.describe(config)
    (told,) = config.registry.document.undescribed
    assert told.endswith("<locals>.undescribed")


def test_a_description_of_a_view_that_is_not_there_stops_the_boot(monkeypatch):
    def gone(_context: object, _request: object) -> None: ...

    more = Operation(gone, "/api/gone", "Gone", {200: Answer("It is not.")})
    description = replace(PACKAGES, name="gone", operations=(more,), schemas={})

    feature = lambda config: config.add_description(description)  # noqa: E731
    monkeypatch.setattr(hubrepo, "FEATURES", (*hubrepo.FEATURES, feature))
    with pytest.raises(Misconfigured, match="the description of gone tells of gone, no view"):
        hubrepo.configure(SETTINGS)


def test_two_claims_to_a_name_or_to_a_schema_fail_at_boot():
    for other in (
        Description("packages", "", ()),
        Description("more", "", (), schemas={"Version": {"type": "object"}}),
    ):
        config = hubrepo.configure(SETTINGS)
        config.add_description(PACKAGES)
        config.add_description(other)
        with pytest.raises(ConfigurationConflictError):
            config.commit()


def test_every_address_leads_to_the_view_that_it_is_told_of(hub: Hub, acme: Client, document):
    """With the examples of its parameters, walked as a request is walked."""
    views: dict[str, RegisteredView] = {}
    for view in hub.registry.methods.views:
        feature = view.function.__module__.split(".")[-2]
        name = "operations" if feature in {"web", "security"} else feature
        views[f"{name}_{view.function.__name__}"] = view
    told = operations(document)
    assert len(told) == len(views)
    for path, method, operation in told:
        view = views[operation["operationId"]]
        for parameter in operation.get("parameters", ()):
            path = path.replace(f"{{{parameter['name']}}}", str(parameter.get("example")))
        request = hub.wsgi.request_factory.blank(path, method=method)
        # Each surface takes its own.
        request.environ.update(acme.credentials)
        with prepare(request, hub.registry) as prepared:
            found = Traverser(prepared["root"])(request)
        assert (type(found["context"]), found["view_name"]) == (view.context, view.name), path
        assert method in view.methods
        assert operation.get("x-required-permission", NO_PERMISSION_REQUIRED) == view.permission


def test_who_may_call_an_operation_is_what_the_grants_say(hub: Hub, document):
    for path, _, operation in operations(document):
        if operation["security"]:
            permission = operation["x-required-permission"]
            granted = {role for role, each in hub.registry.grants.items() if permission in each}
            assert set(operation["x-scopes"]) == granted != set()
            assert {"401", "403", "429"} <= operation["responses"].keys()
        else:
            # A bad key is refused below `/api` even where none is needed.
            refusals = {"401", "403", "429"} & operation["responses"].keys()
            usual: set[str] = {"401", "429"} if path.startswith("/api/") else set()
            assert refusals == ({"401", "403"} if path == "/_ah/admission" else usual)


def test_operations_have_names_of_their_own_and_a_line_that_says_what_they_do(document):
    told = [operation for _, _, operation in operations(document)]
    assert len({each["operationId"] for each in told}) == len(told)
    for each in told:
        assert re.fullmatch(r"[A-Z].*[^.]", each["summary"])
        assert all(answer.get("description", "ref") for answer in each["responses"].values())


def test_what_is_taken_out_of_the_hub_is_not_described(monkeypatch):
    rest = [each for each in hubrepo.FEATURES if not each.endswith(".pages")]
    monkeypatch.setattr(hubrepo, "FEATURES", tuple(rest))
    config = hubrepo.configure(SETTINGS)
    document = config.registry.document.content
    assert not [path for path in document["paths"] if "/pages" in path]
    assert "Page" not in document["components"]["schemas"]
    assert "/api/packages" in document["paths"]
