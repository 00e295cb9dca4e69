"""The description of the whole hub, in OpenAPI 3.1.

Put together from what the application knows (its views and their permissions, what roles are
granted, the shapes of errors) and from what each part tells of itself. An operation whose view is not
registered stops the boot; a view that no operation describes is in `undescribed`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from re import findall
from typing import Any

from pyramid.security import NO_PERMISSION_REQUIRED

from hubrepo.kernel.base import Misconfigured
from hubrepo.kernel.openapi.common import (
    ABOUT,
    COMMON_ANSWERS,
    HEADERS,
    OPEN_ANSWERS,
    PRIVATE_ANSWERS,
    SCHEMAS,
)
from hubrepo.kernel.openapi.descriptions import (
    JSON,
    Answer,
    Body,
    Description,
    Operation,
    Parameter,
    Schema,
    Scheme,
)
from hubrepo.kernel.openapi.examples import example_of
from hubrepo.kernel.openapi.words import ref
from hubrepo.kernel.web import RegisteredView

OPENAPI = "3.1.1"

# Every GET answers HEAD as well, and every address OPTIONS: said once, in the introduction.
EVERYWHERE = frozenset({"HEAD", "OPTIONS"})

# The schema of errors where a surface has none of its own.
HUB_S = "Error"


class Document:
    """What is made of all descriptions. `content` is the document as a value, its server yet unnamed."""

    def __init__(
        self,
        descriptions: Iterable[Description],
        views: Iterable[RegisteredView],
        grants: Mapping[str, Sequence[str]],
        error_type: Callable[[str], str],
    ) -> None:
        self._views = {each.function: each for each in views}
        self._grants, self._error_type = grants, error_type
        self._described: set[object] = set()
        self._schemas, self._headers = dict(SCHEMAS), dict(HEADERS)
        self._paths: dict[str, dict[str, object]] = {}
        parts = list(descriptions)
        for each in parts:
            self._schemas.update(each.schemas)
            self._headers.update(each.headers)
        for each in parts:
            self._add(each)
        tags = [{"name": each.name, "description": each.text} for each in parts]
        self.content: dict[str, Any] = {
            "openapi": OPENAPI,
            "info": {"title": "hubrepo", "version": version("hubrepo"), "description": ABOUT},
            "servers": [{"url": "/"}],
            "tags": tags,
            "paths": self._paths,
            "components": {
                "schemas": self._schemas,
                "headers": {
                    name: _header(each, required=True) for name, each in self._headers.items()
                },
                "responses": {
                    name: self._answer(each, JSON, HUB_S) for name, each in COMMON_ANSWERS.items()
                },
                "securitySchemes": {
                    name: _scheme(each)
                    for name, each in {each.scheme.name: each.scheme for each in parts}.items()
                },
            },
        }

    @property
    def undescribed(self) -> list[str]:
        """The views of which no operation tells."""
        return [
            f"{function.__module__}.{function.__qualname__}"
            for function in self._views
            if function not in self._described
        ]

    def at(self, prefix: str) -> dict[str, Any]:
        """The document of a hub whose URLs all begin with `prefix`."""
        return {**self.content, "servers": [{"url": prefix or "/"}]}

    def _add(self, part: Description) -> None:
        known = {each.name: each for each in part.parameters}
        for operation in part.operations:
            view = self._views.get(operation.view)
            name = operation.view.__name__
            if view is None:
                raise Misconfigured(f"the description of {part.name} tells of {name}, no view")
            self._described.add(operation.view)
            own = {each.name: each for each in operation.parameters}
            in_path = [
                (own.get(each) or known[each]) for each in findall(r"{(\w+)}", operation.path)
            ]
            parameters = [*in_path, *(each for each in own.values() if each not in in_path)]
            told = {
                "operationId": f"{part.name}_{name}",
                "tags": [part.name],
                **self._operation(part, operation, parameters, view.permission),
            }
            for method in view.methods - EVERYWHERE:
                self._paths.setdefault(operation.path, {})[method.lower()] = told

    def _operation(
        self,
        part: Description,
        operation: Operation,
        parameters: Sequence[Parameter],
        permission: str | None,
    ) -> dict[str, object]:
        is_open = permission == NO_PERMISSION_REQUIRED
        told: dict[str, object] = {"summary": operation.summary}
        if operation.text:
            told["description"] = operation.text
        if parameters:
            told["parameters"] = [_parameter(each) for each in parameters]
        if operation.body is not None:
            told["requestBody"] = self._body(operation.body)
        common = OPEN_ANSWERS if is_open else PRIVATE_ANSWERS
        told["responses"] = self._answers(operation, common, part.error)
        if is_open:
            told["security"] = []
        else:
            told["security"] = [{part.scheme.name: []}]
            told["x-required-permission"] = permission
            told["x-scopes"] = [
                role for role, granted in self._grants.items() if permission in granted
            ]
        return told

    def _body(self, body: Body) -> dict[str, object]:
        # Whatever JSON may be, a form is an object.
        form: dict[str, object] = {"schema": {**body.schema, "type": "object"}}
        file = body.schema.get("properties", {}).get("file")
        if file is not None:
            form["encoding"] = {"file": {"contentType": file["contentMediaType"]}}
        else:
            form["example"] = example_of(body.schema, self._schemas)
        return {
            **({"description": body.text} if body.text else {}),
            "required": body.required,
            "content": {
                each: {**form, "schema": body.schema} if each == JSON else form
                for each in body.types
            },
        }

    def _answers(
        self, operation: Operation, common: Mapping[int, str], error: str
    ) -> dict[str, object]:
        error_type = self._error_type(operation.path).partition(";")[0]
        is_usual = (error_type, error) == (JSON, HUB_S)
        answers: dict[int, object] = {}
        for status, name in common.items():
            answers[status] = (
                {"$ref": f"#/components/responses/{name}"}
                if is_usual
                else self._answer(COMMON_ANSWERS[name], error_type, error)
            )
        for status, each in operation.answers.items():
            answers[status] = self._answer(each, error_type, error)
        return {str(status): answers[status] for status in sorted(answers)}

    def _answer(self, answer: Answer, error_type: str, error: str) -> dict[str, object]:
        told: dict[str, object] = {
            "description": answer.text,
            "headers": {
                **{
                    name: {"$ref": f"#/components/headers/{name}"}
                    for name in ("X-Request-Id", *answer.headers)
                },
                **{name: _header(self._headers[name], required=False) for name in answer.at_times},
            },
        }
        schema, media_type = answer.schema, answer.type
        if schema is not None and _is_error(schema):
            schema, media_type = _error(schema, error_type, error), error_type
        if schema is not None:
            media: dict[str, object] = {"schema": schema} if schema else {}
            if schema and media_type == JSON:
                media["example"] = example_of(schema, self._schemas)
            told["content"] = {media_type: media}
        return told


def _scheme(scheme: Scheme) -> dict[str, object]:
    return {
        "type": "apiKey",
        "in": "header",
        "name": scheme.header,
        "description": scheme.text,
        "x-example": scheme.value,
    }


def _is_error(schema: Schema) -> bool:
    return bool(schema.get("$ref", "").endswith("Error"))


def _error(schema: Schema, error_type: str, error: str) -> Schema:
    """An error as a surface shows it, of that media type and with the schema named `error`."""
    if error_type != JSON:
        return {"type": "string"}
    return schema if error == HUB_S else ref(error)


def _header(schema: Schema, *, required: bool) -> dict[str, object]:
    about = {"description": schema["description"]} if "description" in schema else {}
    kept = {key: value for key, value in schema.items() if key != "description"}
    return {**about, "required": required, "schema": kept}


def _parameter(parameter: Parameter) -> dict[str, object]:
    told: dict[str, object] = {
        "name": parameter.name,
        "in": parameter.where,
        "description": parameter.text,
        "schema": parameter.schema,
    }
    if parameter.where == "path":
        told["required"] = True
    if parameter.example is not None:
        told["example"] = parameter.example
    return told
