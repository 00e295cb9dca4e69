"""The description of the hub for those who call it: OpenAPI 3.1, from what each part tells of itself.

Nothing is served here; a feature shows what was put together.
"""

from typing import Any

from hubrepo.kernel.openapi.common import BAD_KEY
from hubrepo.kernel.openapi.descriptions import (
    FORM,
    JSON,
    MULTIPART,
    Answer,
    Body,
    Description,
    Operation,
    Parameter,
    Schema,
    Scheme,
)
from hubrepo.kernel.openapi.document import Document
from hubrepo.kernel.openapi.examples import example_of
from hubrepo.kernel.openapi.operations import OPERATIONS
from hubrepo.kernel.openapi.words import (
    BAD_PAGE,
    BOOLEAN,
    BYTES,
    CONDITIONS,
    IDEMPOTENCY_KEY,
    INSTANT,
    KEY_REUSED,
    LINE,
    PAGING,
    PRECISE,
    SEGMENT,
    TEXT,
    UNREADABLE,
    UPLOAD_TOO_LARGE,
    content,
    done,
    list_of,
    listing,
    number,
    or_null,
    record,
    ref,
    refused,
    text,
    told,
    upload,
)

__all__ = [
    "BAD_KEY",
    "BAD_PAGE",
    "BOOLEAN",
    "BYTES",
    "CONDITIONS",
    "FORM",
    "IDEMPOTENCY_KEY",
    "INSTANT",
    "JSON",
    "KEY_REUSED",
    "LINE",
    "MULTIPART",
    "PAGING",
    "PRECISE",
    "SEGMENT",
    "TEXT",
    "UNREADABLE",
    "UPLOAD_TOO_LARGE",
    "Answer",
    "Body",
    "Description",
    "Document",
    "Operation",
    "Parameter",
    "Schema",
    "Scheme",
    "content",
    "describe",
    "done",
    "example_of",
    "list_of",
    "listing",
    "number",
    "or_null",
    "record",
    "ref",
    "refused",
    "text",
    "told",
    "upload",
]


def add_description(config: Any, description: Description) -> None:
    """Directive: what a surface tells of itself. Two claims to a name, a schema or an operation fail."""
    parts = config.registry.descriptions
    config.action(("description", description.name), lambda: parts.append(description))
    for name in description.schemas:
        config.action(("schema", name))
    for each in description.operations:
        config.action(("operation", each.path, each.view))


def describe(config: Any) -> None:
    """Put the document together, once everything is included and committed. Raises Misconfigured."""
    registry = config.registry

    def error_type(path: str) -> str:
        _, kind = registry.error_shapes.at(path)
        return str(kind)

    registry.document = Document(
        [*registry.descriptions, OPERATIONS], registry.methods.views, registry.grants, error_type
    )


def includeme(config: Any) -> None:
    """Take descriptions. That of `/_ah` comes last."""
    config.registry.descriptions = []
    config.add_directive("add_description", add_description)
