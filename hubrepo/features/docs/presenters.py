"""The description as a page: what its template shows, taken from the document."""

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from hubrepo.kernel.openapi import JSON, MULTIPART, example_of

_TEMPLATES = Environment(
    loader=PackageLoader("hubrepo.features.docs"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_STYLE = _TEMPLATES.get_template("docs.css").render()
STYLE_HASH = f"sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode('ascii')}"

_CODE = re.compile(r"`([^`]+)`")
_PARAMETER = re.compile(r"(\{\w+\})")
_REFERENCE = "#/components/schemas/"
# What a file of a type might be called.
_FILES = {"application/zip": "archive.zip", "application/octet-stream": "artifact.bin"}


class Field(NamedTuple):
    """A line of a table: a parameter, a field of an object or of a form, a header."""

    name: str
    type: Markup
    required: bool
    text: Markup
    where: str = ""


class Told(NamedTuple):
    """A body or an answer: its `type` in words, its fields, an example."""

    media: str
    type: Markup
    fields: list[Field]
    example: str


def page(document: Mapping[str, Any], prefix: str) -> str:
    """The page of a `document`, for a hub whose URLs begin with `prefix`."""
    return _TEMPLATES.get_template("docs.jinja2").render(
        view=_Page(document), prefix=prefix, prose=prose
    )


class _Page:
    """What the template asks for."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        components = document["components"]
        self._schemas: Mapping[str, Any] = components["schemas"]
        self._headers: Mapping[str, Any] = components["headers"]
        self.info = document["info"]
        self.schemes: Mapping[str, Any] = components["securitySchemes"]

    @property
    def tags(self) -> Iterator[tuple[Mapping[str, Any], list["_Operation"]]]:
        """Every surface, and its operations."""
        for tag in self._document["tags"]:
            yield (
                tag,
                [
                    _Operation(self, path, method, each)
                    for path, methods in self._document["paths"].items()
                    for method, each in methods.items()
                    if tag["name"] in each["tags"]
                ],
            )

    @property
    def errors(self) -> list[tuple[str, Markup]]:
        """The answers that any operation may have: status and meaning."""
        common = self._document["components"]["responses"]
        found = {
            (status, answer["$ref"].rpartition("/")[2])
            for methods in self._document["paths"].values()
            for operation in methods.values()
            for status, answer in operation["responses"].items()
            if "$ref" in answer
        }
        return [(status, prose(common[name]["description"])) for status, name in sorted(found)]

    @property
    def schemas(self) -> Iterator[tuple[str, Markup, Told]]:
        """Every named schema, by name."""
        for name in sorted(self._schemas):
            schema = self._schemas[name]
            yield name, prose(schema.get("description", "")), self.told(JSON, schema)

    def told(self, media: str, schema: Mapping[str, Any]) -> Told:
        """A body of that media type."""
        is_named = "$ref" in schema
        example = "" if media != JSON else _pretty(example_of(schema, self._schemas))
        return Told(media, kind(schema), [] if is_named else fields(schema), example)

    def header(self, name: str, header: Mapping[str, Any]) -> Field:
        """A header of an answer."""
        found = self._headers[name] if "$ref" in header else header
        about = prose(found.get("description", ""))
        return Field(name, kind(found["schema"]), found["required"], about)


class _Operation:
    """An operation as the template shows it."""

    def __init__(self, page: _Page, path: str, method: str, told: Mapping[str, Any]) -> None:
        self._page, self._told, self._path = page, told, path
        self.method = method.upper()
        self.id: str = told["operationId"]
        self.summary: str = told["summary"]
        self.scopes: list[str] = told.get("x-scopes", [])
        self.permission: str = told.get("x-required-permission", "")

    @property
    def path(self) -> Markup:
        """The address, its parameters marked."""
        return Markup("").join(
            Markup("<var>{}</var>").format(part) if part.startswith("{") else escape(part)
            for part in _PARAMETER.split(self._path)
        )

    @property
    def text(self) -> Markup:
        """What there is to say besides the summary."""
        return prose(self._told.get("description", ""))

    @property
    def parameters(self) -> list[Field]:
        """Of the address, of the query, of the head."""
        return [
            Field(
                each["name"],
                kind(each["schema"]),
                each.get("required", False),
                prose(each["description"]),
                each["in"],
            )
            for each in self._told.get("parameters", ())
        ]

    @property
    def body(self) -> Told | None:
        """What a request brings."""
        body = self._told.get("requestBody")
        if body is None:
            return None
        types = list(body["content"])
        media = body["content"][types[0]]
        told = self._page.told(types[0], media["schema"])
        return told._replace(media=", ".join(types))

    @property
    def answers(self) -> Iterator[tuple[str, Markup, Told | None, list[Field]]]:
        """Status, meaning, body and headers of the answers that are its own."""
        for status, answer in self._told["responses"].items():
            if "$ref" in answer:
                continue
            told = None
            for media_type, media in answer.get("content", {}).items():
                told = self._page.told(media_type, media.get("schema", {}))
            headers = [
                self._page.header(name, each)
                for name, each in answer["headers"].items()
                if name != "X-Request-Id"
            ]
            yield status, prose(answer["description"]), told, headers

    @property
    def credential(self) -> str:
        """What it asks for, in a word."""
        return ", ".join(name for each in self._told["security"] for name in each)

    @property
    def _schemes(self) -> list[Mapping[str, Any]]:
        return [self._page.schemes[name] for each in self._told["security"] for name in each]

    @staticmethod
    def _form(schema: Mapping[str, Any]) -> Iterator[str]:
        for name in schema["required"]:
            each = schema["properties"][name]
            file = _FILES.get(each.get("contentMediaType"))
            value = each["examples"][0] if file is None else f"@{file}"
            yield from ("--form", shlex.quote(f"{name}={value}"))

    @property
    def curl(self) -> str:
        """A line to paste."""
        words = ["curl"]
        if self.method not in {"GET", "POST"}:
            words += ["--request", self.method]
        for scheme in self._schemes:
            words += ["--header", f'"{scheme["name"]}: {scheme["x-example"]}"']
        body = self._told.get("requestBody")
        if body is not None and MULTIPART in body["content"] and len(body["content"]) == 1:
            words += self._form(body["content"][MULTIPART]["schema"])
        elif body is not None and self.method != "DELETE":
            words += ["--json", shlex.quote(json.dumps(body["content"][JSON]["example"]))]
        elif self.method == "POST":
            words += ["--request", self.method]
        path = self._path
        for each in self._told.get("parameters", ()):
            path = path.replace(f"{{{each['name']}}}", str(each.get("example")))
        return " ".join([*words, f'"$HUB{path}"'])


def prose(text: str) -> Markup:
    """Paragraphs of text, with what stands between backquotes as code."""
    paragraphs = [
        Markup("<p>{}</p>").format(
            Markup("").join(
                Markup("<code>{}</code>").format(part) if index % 2 else escape(part)
                for index, part in enumerate(_CODE.split(paragraph))
            )
        )
        for paragraph in text.split("\n\n")
        if paragraph
    ]
    return Markup("\n").join(paragraphs)


def kind(schema: Mapping[str, Any]) -> Markup:
    """A schema in a few words, with links to those that have names."""
    if reference := schema.get("$ref"):
        name = reference.removeprefix(_REFERENCE)
        return Markup('<a href="#schema-{0}">{0}</a>').format(name)
    if several := schema.get("anyOf"):
        return Markup(" or ").join(kind(each) for each in several)
    if "enum" in schema:
        return Markup(" or ").join(
            Markup("<code>{}</code>").format(each) for each in schema["enum"]
        )
    if "contentMediaType" in schema:
        return Markup("file")
    types = schema.get("type", "bytes")
    if isinstance(types, list):
        # A whole number and any number are one word.
        told = dict.fromkeys(kind({**schema, "type": each}) for each in types)
        return Markup(" or ").join(told)
    if types == "array":
        return Markup("list of {}").format(kind(schema.get("items", {"type": "anything"})))
    is_date = types == "string" and schema.get("format") == "date-time"
    words = {"string": "text", "integer": "number", "boolean": "true or false"}
    return escape("date" if is_date else words.get(types, types))


def fields(schema: Mapping[str, Any]) -> list[Field]:
    """The fields of an object."""
    required = schema.get("required", ())
    return [
        Field(name, kind(each), name in required, prose(each.get("description", "")))
        for name, each in schema.get("properties", {}).items()
    ]


def _pretty(example: object) -> str:
    return json.dumps(example, indent=2, ensure_ascii=False)
