"""What pages tell of themselves to those who call the hub, and to those who visit them."""

from hubrepo.features.pages import views
from hubrepo.features.pages.models import MAX_AUTHOR, MAX_PATH, MAX_SEGMENTS
from hubrepo.kernel.openapi import (
    BAD_PAGE,
    BOOLEAN,
    BYTES,
    CONDITIONS,
    IDEMPOTENCY_KEY,
    INSTANT,
    JSON,
    LINE,
    PAGING,
    UNREADABLE,
    UPLOAD_TOO_LARGE,
    Answer,
    Body,
    Description,
    Operation,
    Parameter,
    Schema,
    content,
    done,
    list_of,
    number,
    record,
    ref,
    refused,
    text,
    told,
    upload,
)

# Segments of a-z0-9._- that are neither `.` nor `..`; the first does not begin with a dot.
_BODY = "[a-z0-9_-][a-z0-9._-]*"
PATH_PATTERN = rf"^{_BODY}(/(\.*{_BODY}|\.{{3,}})){{0,{MAX_SEGMENTS - 1}}}$"
HASH = text(
    "c8163eee6a3dc6b80ae2ba1a8ec76cb9a63e8d51a46dc06a2a4ac4ed0a2b1642",
    "The SHA-256 of the archive as it was sent.",
    pattern="^[0-9a-f]{64}$",
)
FILES: Schema = {
    "type": "integer",
    "minimum": 1,
    "examples": [12],
    "description": "How many files it serves.",
}

_PAGE = {
    "path": text("docs/manual"),
    "url": text("/pages/acme/docs/manual/", "Where visitors find it."),
    "published_at": INSTANT,
    "content_hash": HASH,
    "published_by": text("alice", "A user, who the upload says, or `service`."),
    "publication": number(3, "The number of the publication that is live."),
    "size": told(BYTES, "Bytes of its archive."),
    "files": FILES,
}
_PUBLICATION = {
    "publication": number(3),
    "published_at": INSTANT,
    "published_by": text("alice"),
    "content_hash": HASH,
    "size": BYTES,
    "files": FILES,
    "live": told(BOOLEAN, "Whether visitors see it."),
}
_PATHS = list_of(text("index.html"))

SCHEMAS = {
    "Page": record(_PAGE, "An archive that is served to everybody at a path."),
    "Publication": record(_PUBLICATION, "What was published at a page, and is kept."),
    "Difference": record(
        {
            "from": number(1),
            "to": number(2),
            "added": _PATHS,
            "removed": _PATHS,
            "changed": _PATHS,
        },
        "The files that came, went and changed from one publication to another.",
    ),
}

PATH = Parameter(
    "path",
    "path",
    f"A page's path: at most {MAX_SEGMENTS} segments of `a-z0-9._-`, and {MAX_PATH} characters. Its slashes "
    "may be sent as they are, or as `%2F`.",
    {"type": "string", "pattern": PATH_PATTERN, "maxLength": MAX_PATH},
    example="docs/manual",
)
_NUMBER: Schema = {"type": "integer", "minimum": 1, "maximum": 10**9 - 1}
PUBLICATION = Parameter("publication", "path", "A publication's number.", _NUMBER, example=1)
OTHER = Parameter(
    "other", "path", "The number of the publication to compare with.", _NUMBER, example=2
)
SLUG = Parameter(
    "slug",
    "path",
    "An organisation's slug.",
    {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$"},
    example="acme",
)
ADDRESS = Parameter(
    "address",
    "path",
    "A page's path, a slash, and a file in it. Its slashes may be sent as they are, or as `%2F`.",
    {"type": "string", "pattern": r"^[^\u0000-\u001f\u007f]+$"},
    example="docs/manual/index.html",
)

NOT_LIVE = refused("No page is live there.")
BAD_PATH = refused("Nothing can be published at such a path.")
NO_PUBLICATION = refused("No such publication is kept of a page at this path.")
# Where a path ends like one of these addresses, a live page of that path goes first.
ITSELF = "Should a live page have this very path, it is answered instead."


def or_itself(about: str, schema: Schema, *at_times: str) -> Answer:
    """What is told of a page, unless the address is a page's own."""
    return Answer(about, {"anyOf": [schema, ref("Page")]}, at_times=at_times)


PAGES = (
    Operation(
        views.list_pages,
        "/api/pages",
        "All live pages, last published first",
        {200: Answer("The pages.", list_of(ref("Page")), at_times=("Link",)), 400: BAD_PAGE},
        parameters=PAGING,
    ),
    Operation(
        views.publish,
        "/api/pages",
        "Publish a page",
        {
            201: Answer("The page.", ref("Page"), at_times=("Idempotent-Replayed",)),
            400: refused("There is no file, it is too large, or a field is wrong."),
            409: refused("A live page lies above or below that path."),
            413: UPLOAD_TOO_LARGE,
            415: UNREADABLE,
            422: refused(
                "The archive cannot be published: `detail` says why. Or the `Idempotency-Key` was used for "
                "another request."
            ),
        },
        "The archive's root is what is served; its `pages.toml` says where, as `path` in `[publish]`. What "
        "was live at that path before is replaced in one moment, and kept for a while.",
        (IDEMPOTENCY_KEY,),
        upload(
            "The archive, a ZIP.",
            {
                "path": text("docs/manual", "Where to, if the archive does not say."),
                "author": text(
                    "ann",
                    "Who is named as publisher when the key is nobody's own.",
                    pattern=LINE,
                    maxLength=MAX_AUTHOR,
                ),
            },
        ),
    ),
    Operation(
        views.show_page,
        "/api/pages/{path}",
        "A live page",
        {200: Answer("The page.", ref("Page")), 404: NOT_LIVE, 422: BAD_PATH},
    ),
    Operation(
        views.unpublish,
        "/api/pages/{path}",
        "Unpublish a page",
        {204: done("Nothing is served there any more."), 404: NOT_LIVE, 422: BAD_PATH},
        "What it was is kept for a while, and can be rolled back to.",
        body=Body(
            {
                "type": ["object", "array", "string", "number", "boolean", "null"],
                "properties": {"reason": {"description": "Why, for the log. What is no text is ignored."}},
            },
            "Why, if you like to say, in a form as well. What cannot be read is ignored.",
            types=(JSON,),
            required=False,
        ),
    ),
)  # fmt: skip

PUBLICATIONS = (
    Operation(
        views.list_publications,
        "/api/pages/{path}/publications",
        "What is kept of a page, newest first",
        {
            200: or_itself("The publications.", list_of(ref("Publication")), "Link"),
            400: BAD_PAGE,
            404: NO_PUBLICATION,
            422: BAD_PATH,
        },
        ITSELF,
        parameters=PAGING,
    ),
    Operation(
        views.show_publication,
        "/api/pages/{path}/publications/{publication}",
        "A publication",
        {
            200: or_itself("The publication.", ref("Publication")),
            404: NO_PUBLICATION,
            422: BAD_PATH,
        },
        ITSELF,
    ),
    Operation(
        views.show_difference,
        "/api/pages/{path}/publications/{publication}/diff/{other}",
        "The difference between two publications",
        {
            200: or_itself("The difference.", ref("Difference")),
            404: NO_PUBLICATION,
            422: BAD_PATH,
        },
        ITSELF,
    ),
    Operation(
        views.forget,
        "/api/pages/{path}/publications/{publication}/forget",
        "Forget a publication",
        {
            204: done("It is gone, and its bytes are."),
            404: NO_PUBLICATION,
            405: Answer(
                "What stands for the number is none, so the address is that of a page.",
                ref("Error"),
                headers=("Allow",),
            ),
            409: refused("It is live: unpublish the page, or roll it back, before."),
            422: BAD_PATH,
        },
    ),
    Operation(
        views.roll_back,
        "/api/pages/{path}/rollback",
        "Make a publication live again",
        {
            200: Answer("The page.", ref("Page"), at_times=("Idempotent-Replayed",)),
            400: refused("`publication` is missing or no number."),
            404: NO_PUBLICATION,
            409: refused("A live page lies above or below that path."),
            413: UPLOAD_TOO_LARGE,
            415: UNREADABLE,
            422: refused(
                "Nothing can be published at such a path, or the `Idempotency-Key` was used for another "
                "request."
            ),
        },
        "After it was unpublished, too.",
        (IDEMPOTENCY_KEY,),
        Body(
            record(
                {
                    "publication": {
                        "description": "Its number, or text that spells it.",
                        "type": ["integer", "string"],
                        "minimum": 1,
                        "maximum": 10**9 - 1,
                        "pattern": "^0*[1-9][0-9]*$",
                        "maxLength": 9,
                        "examples": [1],
                    }
                }
            )
        ),
    ),
)

# What a page's own `_redirects` may ask for.
REDIRECTS = {
    status: Answer(about, headers=("Location",))
    for status, about in {
        301: "The page says that it moved.",
        302: "The page leads elsewhere.",
        303: "The page leads elsewhere, to be read there.",
        307: "The page leads elsewhere, for now.",
        308: "It is a folder, whose address ends in a slash; or the page says that it moved.",
    }.items()
}
VISITS = (
    Operation(
        views.visit,
        "/pages/{slug}/{address}",
        "A file of a page",
        {
            **content("The file.", "*/*", "Last-Modified"),
            **REDIRECTS,
            404: Answer("There is nothing at this address; or the page's own `404.html`.", {}, "*/*"),
        },
        "For everybody; no key is looked at. `index.html` stands for its folder. Where pages have a host of "
        "their own, the hub's own host leads there.",
        CONDITIONS,
    ),
)  # fmt: skip

DESCRIPTION = Description(
    "pages",
    "Archives that are served to everybody at a path, swapped at once, rolled back in one call.",
    PAGES + PUBLICATIONS + VISITS,
    (PATH, PUBLICATION, OTHER, SLUG, ADDRESS),
    SCHEMAS,
)
