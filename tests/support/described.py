"""Whether an answer is one of those that the hub's description tells of: status, headers, type, body.

Every answer that a test gets from a hub in its own process is looked at. What the description promises
to grow, objects that may get more fields, is held to what is told today: who adds a field describes it.
"""

import re
from functools import lru_cache
from typing import Any, NamedTuple

import jsonschema_rs
import orjson
from webtest import TestApp, TestResponse

JSON = "application/json"
# The parameters whose values may have slashes.
LONG = ("path", "address")


class Told(NamedTuple):
    """What one status of an operation looks like; without `types` it has no body."""

    headers: frozenset[str]
    types: dict[str, jsonschema_rs.Validator | None]


Operations = dict[str, dict[int, Told]]


class Described:
    """A document, compiled."""

    def __init__(self, document: Any) -> None:
        self._components = document["components"]
        # The one with more words goes first: `…/{path}/publications` before `…/{path}`.
        paths = sorted(document["paths"], key=lambda path: -len(re.sub(r"{\w+}", "", path)))
        self._operations: list[tuple[re.Pattern[str], Operations]] = [
            (_pattern(path, document["paths"][path]), self._compiled(document["paths"][path]))
            for path in paths
        ]

    def _compiled(self, methods: Any) -> Operations:
        return {
            method.upper(): {
                int(status): self._told(answer) for status, answer in each["responses"].items()
            }
            for method, each in methods.items()
        }

    def _told(self, answer: Any) -> Told:
        if "$ref" in answer:
            answer = self._components["responses"][answer["$ref"].rpartition("/")[2]]
        headers = frozenset(
            name for name, each in answer["headers"].items() if each.get("required", "$ref" in each)
        )
        types = answer.get("content", {})
        return Told(headers, {kind: self._validator(kind, each) for kind, each in types.items()})

    def _validator(self, kind: str, media: Any) -> jsonschema_rs.Validator | None:
        if kind != JSON or "schema" not in media:
            return None
        components = {"schemas": _strict(self._components["schemas"])}
        schema = {**_strict(media["schema"]), "components": components}
        return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)

    def check(self, method: str, path: str, response: TestResponse) -> None:
        """Raise AssertionError if the answer is none that is told of. What is not described is not judged."""
        operation = self._find("GET" if method == "HEAD" else method, path)
        if operation is None:
            return
        status, asked = response.status_int, f"{method} {path}"
        assert status in operation, f"{asked}: {status} is not described: {response.body[:500]!r}"
        told = operation[status]
        missing = [name for name in told.headers if name not in response.headers]
        assert not missing, f"{asked}: {status} has no {missing}"
        if method != "HEAD":
            _check_body(asked, told, response)

    def _find(self, method: str, path: str) -> dict[int, Told] | None:
        for pattern, operations in self._operations:
            if pattern.fullmatch(path):
                return operations.get(method)
        return None


def _check_body(asked: str, told: Told, response: TestResponse) -> None:
    if not told.types:
        assert not response.body, f"{asked}: {response.status} has a body"
        return
    kind = response.content_type
    assert kind in told.types or "*/*" in told.types, f"{asked}: {response.status} is {kind}"
    validator = told.types.get(kind)
    if validator is not None:
        for error in validator.iter_errors(response.json):
            raise AssertionError(f"{asked}: {response.status}: {error}")


def _pattern(path: str, methods: Any) -> re.Pattern[str]:
    (operation, *_) = methods.values()
    words = {
        each["name"]: "[0-9]+" if each["schema"].get("type") == "integer" else "[^/]+"
        for each in operation.get("parameters", ())
    }
    words |= dict.fromkeys(LONG, ".+")
    parts = re.split(r"{(\w+)}", path)
    made = [words[each] if index % 2 else re.escape(each) for index, each in enumerate(parts)]
    return re.compile("".join(made) + "/?", re.DOTALL)


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _strict(each) for name, each in schema.items()}
    if isinstance(schema.get("properties"), dict):
        made.setdefault("additionalProperties", False)
    return made


def described_by(document: Any) -> Described:
    """The document, compiled; most hubs of the tests have the same."""
    return _described(orjson.dumps(document))


@lru_cache(maxsize=16)
def _described(document: bytes) -> Described:
    return Described(orjson.loads(document))


class CheckedApp(TestApp):
    """WebTest's caller of a hub, which looks at every answer."""

    def __init__(self, app: Any, described: Described, **options: Any) -> None:
        super().__init__(app, **options)
        self._described = described

    def do_request(
        self, req: Any, status: Any = None, expect_errors: bool | None = None
    ) -> TestResponse:
        """What WebTest does, and a look at the answer."""
        response = super().do_request(req, status, expect_errors)
        path = req.environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        self._described.check(req.method, path, response)
        return response
