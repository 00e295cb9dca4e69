"""What a part of the hub tells of itself: its operations, their parameters, bodies and answers.

Plain values, in the words of OpenAPI 3.1 and JSON Schema 2020-12. Who may call an operation is not
said here: the hub knows that from the views. Texts are Markdown, of paragraphs and `code` only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Parameter:
    """A part of the address, of the query, or a header; `where` is `path`, `query` or `header`."""

    name: str
    where: str
    text: str
    schema: Schema
    example: object = None


@dataclass(frozen=True)
class Body:
    """What a request brings: a `schema`, in any of these media types."""

    schema: Schema
    text: str = ""
    types: tuple[str, ...] = (JSON, FORM, MULTIPART)
    required: bool = True


@dataclass(frozen=True)
class Answer:
    """One of the answers of an operation. Without a `schema` it has no body.

    `headers` are those that it always has, `at_times` those that it may have.
    """

    text: str
    schema: Schema | None = None
    type: str = JSON
    headers: tuple[str, ...] = ()
    at_times: tuple[str, ...] = ()


@dataclass(frozen=True)
class Operation:
    """What a method at an address does.

    `view` is the function that answers, as it was registered; `path` is its address, with the names
    of parameters in braces. What every operation may answer (401, 403, 503, …) is added to its `answers`.
    """

    view: Callable[..., Any]
    path: str
    summary: str
    answers: Mapping[int, Answer]
    text: str = ""
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None


@dataclass(frozen=True)
class Scheme:
    """How callers say who they are: what stands in which `header`, as in `Api-Key $KEY`."""

    name: str
    header: str
    value: str
    text: str


KEY = Scheme(
    "key",
    "Authorization",
    "Api-Key $KEY",
    "`Api-Key`, a space, and a key: `Authorization: Api-Key kpf_0123abcd_…`. A key has the scopes `read`, "
    "`publish` and `admin`, or some of them, and may be limited to packages by name. One that is malformed, "
    "unknown, revoked or expired is answered 401, whatever else may be wrong.",
)


@dataclass(frozen=True)
class Description:
    """A surface: the `operations` of `name`, the parameters that their paths have, their schemas.

    `headers` are those that its answers name, besides the hub's own. Its errors have the schema that is
    named `error`, its callers the credentials that `scheme` tells of.
    """

    name: str
    text: str
    operations: tuple[Operation, ...]
    parameters: tuple[Parameter, ...] = ()
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    headers: Mapping[str, Schema] = field(default_factory=dict)
    error: str = "Error"
    scheme: Scheme = KEY
