"""What artifacts tell of themselves to those who call the hub."""

from hubrepo.features.artifacts import views
from hubrepo.features.artifacts.models import MAX_LABEL
from hubrepo.features.artifacts.permissions import FLAGS
from hubrepo.features.artifacts.schemas import NAME
from hubrepo.kernel.openapi import (
    BOOLEAN,
    BYTES,
    CONDITIONS,
    IDEMPOTENCY_KEY,
    JSON,
    KEY_REUSED,
    LINE,
    MULTIPART,
    PRECISE,
    SEGMENT,
    Answer,
    Body,
    Description,
    Operation,
    Parameter,
    Schema,
    Scheme,
    content,
    done,
    example_of,
    list_of,
    or_null,
    record,
    ref,
    refused,
    text,
    told,
)

_RAW = "1f8a5b0d3c7e92461f8a5b0d3c7e92461f8a5b0d3c7e9246"
_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_CHECKSUM = text(f"sha256:{_DIGEST}", "The SHA-256 of its bytes.", pattern="^sha256:[0-9a-f]{64}$")
_LABEL = text("ci", "What the token is for.", maxLength=MAX_LABEL, pattern=LINE)
_TOKEN = text(_DIGEST, "A token, by its digest.", pattern="^[0-9a-f]{64}$")
_WHICH = text(_DIGEST, "A token, or its digest.")
_PRODUCT = text("my-lib", "The product's name.", pattern=f"^{NAME}$")
_VERSION = text("v1.0.0", "The version's identifier.", pattern=f"^{NAME}$")
_PATH = text(
    "./products/my-lib/v1.0.0/my-lib.tar.gz",
    "No location: only the file name at its end means something.",
)
_SENTENCE = text("Database is fine", "`<Name> is fine`, or in other words what is wrong.")

_ARTIFACT = record(
    {"path": _PATH, "checksum": _CHECKSUM, "size": BYTES, "created_at": PRECISE},
    "A version of a product.",
)

_ABOUT_FLAGS = {
    "maintainer": "May change who may do what, withdraw versions, and delete the product.",
    "download": "May download versions.",
    "upload": "May upload versions.",
    "delete": "May delete versions.",
}

SCHEMAS: dict[str, Schema] = {
    "ArtifactsError": {
        "type": "object",
        "description": "Why a request was refused.",
        "properties": {
            "error": text("there is no such product", "What is wrong, for people."),
            "details": {"type": "object", "description": "More of it, for programs."},
        },
        "required": ["error"],
    },
    "Parts": record(
        {"database": _SENTENCE, "storage": told(_SENTENCE, "As for the database.")},
        "How the parts of the hub are.",
    ),
    "Token": record(
        {
            "token": _TOKEN,
            "admin": told(BOOLEAN, "Whether it may register and prune tokens, and do everything."),
            "label": _LABEL,
            "created_at": PRECISE,
            "last_used_at": told(or_null(PRECISE), "To the minute."),
        },
        "A token, as much of it as may be seen.",
    ),
    "Permissions": record(
        {flag: told(BOOLEAN, _ABOUT_FLAGS[flag]) for flag in FLAGS},
        "What a token may do with a product.",
    ),
    "Artifact": _ARTIFACT,
    "Product": record(
        {
            "name": _PRODUCT,
            "tokens": {
                "type": "object",
                "description": "Who may do what with it, by the digests of tokens.",
                "additionalProperties": ref("Permissions"),
                "examples": [{_DIGEST: dict.fromkeys(FLAGS, True)}],
            },
            "versions": {
                "type": "object",
                "description": "By their identifiers, oldest first.",
                "additionalProperties": ref("Artifact"),
                "examples": [{"v1.0.0": example_of(_ARTIFACT, {})}],
            },
        },
        "A name with versions.",
    ),
}

TOKEN = Parameter("token", "path", "A token, or its digest.", SEGMENT, example=_DIGEST)
PRODUCT = Parameter("product", "path", "The product's name.", SEGMENT, example="my-lib")
VERSION = Parameter("version", "path", "The version's identifier.", SEGMENT, example="v1.0.0")


def _asked(name: str, about: str, example: str) -> Parameter:
    """What may stand in the query of a DELETE, in place of a body."""
    return Parameter(name, "query", about, {"type": "string"}, example=example)


def _object(properties: dict[str, Schema], *required: str, **more: object) -> Schema:
    """An object; what it may have besides is ignored."""
    return {"type": "object", "properties": properties, "required": list(required), **more}


NO_PRODUCT = refused("There is no such product.")
NO_VERSION = refused("There is no such product, or it has no such version.")
TOO_LONG = refused("The body is longer than anybody needs.")
_FLAG_WISHES = {flag: {**BOOLEAN, "default": False} for flag in FLAGS}

OPERATIONS = (
    Operation(
        views.show_health,
        "/health",
        "Whether the parts of the hub are well",
        {
            200: Answer("All are.", ref("Parts"), headers=("Cache-Control",)),
            503: Answer("One is not.", ref("Parts"), at_times=("Cache-Control", "Retry-After")),
        },
        "While the database is away nobody can be recognised, so anybody is told.",
    ),
    Operation(
        views.register,
        "/register",
        "Register a token",
        {
            201: Answer(
                "The raw token and nothing else, for the only time.",
                text(_RAW, pattern="^[0-9a-f]{48}$"),
                "text/plain",
                headers=("Cache-Control",),
            ),
            413: TOO_LONG,
        },
        body=Body(
            _object({"admin": {**BOOLEAN, "default": False}, "label": _LABEL}),
            "What the token shall be.",
            types=(JSON,),
        ),
    ),
    Operation(
        views.show_token,
        "/fetch/{token}",
        "A token of the organisation",
        {
            200: Answer("The token.", ref("Token"), headers=("Cache-Control",)),
            404: refused("There is no such token, or it is named by its digest, as only admins may."),
        },
    ),
    Operation(
        views.prune,
        "/prune/{token}",
        "Prune a token",
        {
            204: done("It is useless from now on, and in no product's list."),
            404: refused("There is no such token."),
        },
    ),
    Operation(
        views.list_products,
        "/product/access",
        "The products that the token has to do with",
        {200: Answer("Their names, sorted; all that there are, for an admin.", list_of(_PRODUCT))},
    ),
    Operation(
        views.create,
        "/product/create",
        "Create a product",
        {
            201: Answer("The product: its creator may do everything.", ref("Product")),
            409: refused("The name is taken."),
            413: TOO_LONG,
        },
        body=Body(_object({"name": _PRODUCT}, "name"), types=(JSON,)),
    ),
    Operation(
        views.show_product,
        "/product/fetch/{product}",
        "A product",
        {200: Answer("The product.", ref("Product")), 404: NO_PRODUCT},
        "Whoever has a grant there may see it, even one without any flag.",
    ),
    Operation(
        views.delete_product,
        "/product/delete/{product}",
        "Delete a product",
        {204: done("It is gone, with its versions and their bytes."), 404: NO_PRODUCT},
        "For maintainers.",
    ),
    Operation(
        views.delete_version,
        "/product/delete/{product}/{version}",
        "Delete a version",
        {204: done("It is gone, with its bytes."), 404: NO_VERSION},
        "For tokens with the flag `delete`.",
    ),
    Operation(
        views.add_token,
        "/product/modify/addToken",
        "Say what a token may do with a product",
        {
            201: Answer(
                "What it may do, in place of what it could.",
                record(
                    {"product": _PRODUCT, "token": _TOKEN, "permissions": ref("Permissions")}
                ),
            ),
            404: refused("There is no such product, or no such token."),
            413: TOO_LONG,
        },
        "For maintainers.",
        body=Body(
            _object(
                {
                    "product": _PRODUCT,
                    "token": _WHICH,
                    "permissions": {
                        "type": "object",
                        "properties": _FLAG_WISHES,
                        "additionalProperties": False,
                    },
                },
                "product",
                "token",
                "permissions",
            ),
            types=(JSON,),
        ),
    ),
    Operation(
        views.delete_token,
        "/product/modify/deleteToken",
        "Let a token have nothing to do with a product",
        {
            204: done("It has no grant there any more."),
            404: refused("There is no such product, or the token has no grant there."),
            413: TOO_LONG,
        },
        "For maintainers. Without a body the query says it, with the token's digest.",
        parameters=(
            _asked("product", "In place of a body.", "my-lib"),
            _asked("token", "A token's digest, in place of a body.", _DIGEST),
        ),
        body=Body(
            _object({"product": _PRODUCT, "token": _WHICH}, "product", "token"),
            types=(JSON,),
            required=False,
        ),
    ),
    Operation(
        views.withdraw,
        "/product/modify/deleteVersion",
        "Withdraw a version",
        {
            200: Answer(
                "It is gone, with its bytes.",
                record(
                    {"product": _PRODUCT, "version": _VERSION, "deleted": {"const": True}}
                ),
            ),
            404: NO_VERSION,
            413: TOO_LONG,
        },
        "For maintainers, and tokens with the flag `delete`. Without a body the query says it.",
        parameters=(
            _asked("product", "In place of a body.", "my-lib"),
            _asked("version", "In place of a body.", "v1.0.0"),
        ),
        body=Body(
            _object({"product": _PRODUCT, "version": _VERSION}, "product", "version"),
            types=(JSON,),
            required=False,
        ),
    ),
    Operation(
        views.upload,
        "/product/upload",
        "Upload a version",
        {
            201: Answer(
                "The version.",
                record(
                    {
                        "product": _PRODUCT,
                        "version": _VERSION,
                        "path": _PATH,
                        "checksum": _CHECKSUM,
                        "size": BYTES,
                    }
                ),
                at_times=("Idempotent-Replayed",),
            ),
            404: NO_PRODUCT,
            409: refused("There is such a version already: none ever changes."),
            413: refused("It is larger than one may be, or than there is room for."),
            422: KEY_REUSED,
        },
        "For tokens with the flag `upload`.",
        parameters=(IDEMPOTENCY_KEY,),
        body=Body(
            _object(
                {
                    "product": _PRODUCT,
                    "version": _VERSION,
                    "file": {
                        "type": "string",
                        "format": "binary",
                        "contentMediaType": "application/octet-stream",
                        "description": "Any bytes, with a file name.",
                    },
                    "checksum": text(
                        f"sha256:{_DIGEST}",
                        "What the bytes must have, if they are to be taken.",
                        pattern="^(sha256:)?[0-9A-Fa-f]{64}$",
                    ),
                },
                "product",
                "version",
                "file",
            ),
            types=(MULTIPART,),
        ),
    ),
    Operation(
        views.download,
        "/product/download/{product}/{version}",
        "Download a version",
        {
            **content(
                "Its bytes, as they were uploaded.",
                "application/octet-stream",
                "Content-Disposition",
                "Repr-Digest",
                "Last-Modified",
                "X-Checksum-Sha256",
            ),
            302: Answer(
                "`hubrepo.redirect_downloads` is on: the bytes are there, for a minute.",
                headers=("Location", "Cache-Control"),
            ),
            404: NO_VERSION,
        },
        "For tokens with the flag `download`.",
        parameters=CONDITIONS,
    ),
)  # fmt: skip

DESCRIPTION = Description(
    "artifacts",
    "Products with versions of any bytes, and tokens, each of which may do something with some products. "
    "Every path is there a second time below `/api`. An error is an object whose `error` is a sentence for "
    "people.",
    OPERATIONS,
    (TOKEN, PRODUCT, VERSION),
    SCHEMAS,
    {"X-Checksum-Sha256": text(_DIGEST, "The SHA-256 of the whole.", pattern="^[0-9a-f]{64}$")},
    error="ArtifactsError",
    scheme=Scheme(
        "token",
        "X-Api-Token",
        "$TOKEN",
        "Artifacts ask for a token, `X-Api-Token: 1f8a5b0d…`, and for nothing else: a key is none. An admin "
        "token registers others.",
    ),
)
