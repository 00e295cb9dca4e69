"""What the description tells of itself."""

from hubrepo.features.docs import views
from hubrepo.kernel.openapi import (
    BAD_KEY,
    CONDITIONS,
    JSON,
    Answer,
    Description,
    Operation,
    content,
    record,
    ref,
    refused,
    text,
)

_DOCUMENT = record(
    {"openapi": text("3.1.1"), "info": {"type": "object", "additionalProperties": True}},
    "A document as https://spec.openapis.org/oas/v3.1.1.html says.",
    additionalProperties=True,
)

DESCRIPTION = Description(
    "docs",
    "This description.",
    (
        Operation(
            views.show_start,
            "/",
            "The start, for people",
            {
                303: Answer("The description is at `/docs`.", headers=("Location",)),
                404: refused("This host serves pages only."),
            },
        ),
        Operation(
            views.show_document,
            "/api/openapi.json",
            "The description, for programs",
            {
                **content(
                    "The description of this hub, in OpenAPI 3.1.", JSON, schema=ref("Document")
                ),
                **BAD_KEY,
            },
            "Without a key; with a bad one it is 401, like everything below `/api`.",
            CONDITIONS,
        ),
        Operation(
            views.show_page,
            "/docs",
            "The description, for people",
            content("A page that needs nothing else: no script, no other host.", "text/html"),
            parameters=CONDITIONS,
        ),
    ),
    schemas={"Document": _DOCUMENT},
)
