"""Words that many descriptions need."""

from collections.abc import Mapping

from hubrepo.kernel.openapi.descriptions import MULTIPART, Answer, Body, Parameter, Schema

# What a segment of an address may be, whatever it means.
SEGMENT: Schema = {"type": "string", "pattern": r"^[^\u0000-\u001f\u007f/]+$"}
# A line of text, as `is_one_line` of the hub judges it; and any text, as databases take it.
LINE = r"^[^\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]*$"
TEXT = r"^[^\u0000]*$"
BOOLEAN: Schema = {"type": "boolean"}
INSTANT: Schema = {"type": "string", "format": "date-time", "examples": ["2026-11-21T09:48:52Z"]}
PRECISE: Schema = {**INSTANT, "examples": ["2026-11-21T09:48:52.068555Z"]}
BYTES: Schema = {"type": "integer", "minimum": 0, "examples": [1482]}


def ref(name: str) -> Schema:
    """The schema of that name."""
    return {"$ref": f"#/components/schemas/{name}"}


def text(example: str, about: str = "", **more: object) -> Schema:
    """A string."""
    told = {"description": about} if about else {}
    return {"type": "string", **told, "examples": [example], **more}


def number(example: int, about: str = "", **more: object) -> Schema:
    """A whole number from 1 on."""
    told = {"description": about} if about else {}
    return {"type": "integer", "minimum": 1, **told, "examples": [example], **more}


def or_null(schema: Schema) -> Schema:
    """That, or null."""
    if "type" in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def told(schema: Schema, about: str) -> Schema:
    """That, explained."""
    return {**schema, "description": about}


def list_of(schema: Schema) -> Schema:
    """Any number of them."""
    return {"type": "array", "items": schema}


def record(properties: Mapping[str, Schema], about: str = "", **more: object) -> Schema:
    """An object that has all of these."""
    described = {"description": about} if about else {}
    fields = {"properties": dict(properties), "required": list(properties)}
    return {"type": "object", **described, **fields, **more}


def refused(about: str) -> Answer:
    """An error: its text is in `detail`."""
    return Answer(about, ref("Error"))


def done(about: str) -> Answer:
    """204: there is nothing more to say."""
    return Answer(about)


UPLOAD_TOO_LARGE = refused(
    "The organisation would keep more than it may, in bytes or in number; `detail` names the limit."
)
UNREADABLE = refused("The body is neither JSON nor a form.")

# Of listings.
PAGING = (
    Parameter(
        "limit",
        "query",
        "How many at most. Without `limit` and `cursor` a listing is complete, unless it says otherwise.",
        {"type": "integer", "minimum": 1, "maximum": 1000},
        example=100,
    ),
    Parameter(
        "cursor",
        "query",
        "Where to go on: the one in the `Link` of the page before.",
        {"type": "string", "minLength": 1},
    ),
)
BAD_PAGE = refused(
    "`limit` is no number from 1 to 1000, or `cursor` is none that the hub gave out."
)


def listing(about: str, schema: Schema) -> Answer:
    """A list, or a page of it that tells in `Link` where the next one is."""
    return Answer(about, list_of(schema), at_times=("Link",))


# Of POSTs that may be repeated.
IDEMPOTENCY_KEY = Parameter(
    "Idempotency-Key",
    "header",
    "Any text of your own that names this request. A retry with it gets the first answer again, and "
    "nothing is done twice.",
    {"type": "string", "pattern": "^[!-~]{1,255}$"},
)
KEY_REUSED = refused("The `Idempotency-Key` was used for another request.")

# Of what can be read in part, and need not be read again.
CONDITIONS = (
    Parameter(
        "If-None-Match", "header", "Entity tags that are known: 304 if it is still one.", {"type": "string"}
    ),
    Parameter("If-Match", "header", "Entity tags that are wanted: 412 if it is none.", {"type": "string"}),
    Parameter(
        "If-Modified-Since", "header", "304 unless it has changed since that date.", {"type": "string"}
    ),
    Parameter("Range", "header", "The bytes that are wanted, such as `bytes=0-99`.", {"type": "string"}),
    Parameter(
        "If-Range", "header", "An entity tag or a date: the `Range` counts only if it is still that.",
        {"type": "string"},
    ),
)  # fmt: skip


def content(
    about: str, media_type: str, *at_times: str, schema: Schema | None = None
) -> Mapping[int, Answer]:
    """What is answered with bytes that can be asked for in part, or only if they have changed.

    The whole of it has the `schema`; a part has none.
    """
    body: Schema = {"type": "string"} if media_type.startswith("text/") else {}
    headers = ("ETag", "Cache-Control", "Accept-Ranges")
    return {
        200: Answer(about, schema or body, media_type, headers, at_times),
        206: Answer("The part that was asked for.", body, media_type, (*headers, "Content-Range"), at_times),
        304: Answer("It is what you have.", None, headers=("ETag",)),
        412: refused("It is none of those in `If-Match`."),
        416: refused("It has no such part."),
    }  # fmt: skip


def upload(about: str, fields: Mapping[str, Schema]) -> Body:
    """A form with an archive as its `file`, and texts."""
    # The format is a word of OpenAPI 3.0, which many programs that read descriptions still look for.
    kind = {"type": "string", "format": "binary", "contentMediaType": "application/zip"}
    properties = {"file": told(kind, about), **fields}
    schema: Schema = {"type": "object", "properties": properties, "required": ["file"]}
    return Body(schema, types=(MULTIPART,))
