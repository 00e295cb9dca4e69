"""What packages tell of themselves to those who call the hub."""

from hubrepo.features.packages import views
from hubrepo.features.packages.manifest import MAX_AUTHOR
from hubrepo.features.packages.models import MAX_ALIAS, MAX_NAME
from hubrepo.kernel.openapi import (
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
    Answer,
    Body,
    Description,
    Operation,
    Parameter,
    Schema,
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

NAME_PATTERN = rf"^[\p{{L}}\p{{N}}_][\p{{L}}\p{{N}}_.\-]{{0,{MAX_NAME - 1}}}$"
HASH = text(
    "sha256:e2787fc48f429baf3c5a05f9e5a5150d04e59bd0798f990999dc5b228d39f98b",
    "The SHA-256 of the stored archive, which is what a download returns. Kept after a tombstone.",
    pattern="^sha256:[0-9a-f]{64}$",
)
ORIGIN = record({"package": text("gadget"), "version": number(3)})

_VERSION: dict[str, Schema] = {
    "package": text("widget"),
    "version": number(2),
    "author": text("ann", "As the manifest says."),
    "date": told(INSTANT, "When it was published."),
    "summary": text("First light"),
    "description": text("", "Markdown."),
    "content_hash": HASH,
    "download_url": or_null(
        text("/api/packages/widget/versions/2/download", "Null once it is a tombstone.")
    ),
    "tombstoned": BOOLEAN,
    "tombstone_reason": text("", "Empty unless it is a tombstone, and somebody said why."),
    "forked_from": told(or_null(ORIGIN), "Where the first version of a fork was made from."),
    "fork_verified": {
        "type": ["boolean", "null"],
        "description": "Whether the history in the archive has the hash that its ancestor has; null where "
        "there is nothing to compare.",
    },
    "published_by": text("alice", "The user whose key published it, or `service`."),
    "size": told(BYTES, "Bytes of the stored archive."),
}
_ALIAS = {
    "name": text("stable"),
    "version": number(2),
    "updated_at": told(PRECISE, "When it was set last, changed or not."),
}
_TOMBSTONE = {
    "detail": text("tombstoned"),
    "package": text("widget"),
    "version": number(1),
    "author": text("ann"),
    "date": INSTANT,
    "summary": text("First light"),
    "tombstone_reason": text("leaked a credential"),
    "tombstoned_at": INSTANT,
}

SCHEMAS = {
    "Version": record(_VERSION, "An immutable archive with the next number."),
    "Alias": record(_ALIAS, "A name that points to a live version. `latest` is moved by the hub."),
    "Package": record(
        {
            "name": text("widget"),
            "created_at": PRECISE,
            "versions": told(list_of(ref("Version")), "Newest first, tombstones included."),
            "aliases": told(list_of(ref("Alias")), "By name."),
            "archived": told(BOOLEAN, "Whether it was deleted: all its versions are tombstones."),
        },
        "A package with everything in it.",
    ),
    "ListedPackage": record(
        {
            "name": text("widget"),
            "latest_version": told(or_null(ref("Version")), "The newest, even if it is a tombstone."),
            "versions_count": {"type": "integer", "minimum": 0, "examples": [2]},
            "created_at": PRECISE,
            "latest_live_version": told(or_null(ref("Version")), "The newest that is no tombstone."),
            "archived": BOOLEAN,
        },
        "A package in the listing.",
    ),
    "HeadMovedError": record(
        {"detail": text("head moved"), "head": {"type": "integer", "minimum": 0, "examples": [3]}},
        "Somebody has published meanwhile: `head` is the highest number now.",
    ),
    "TombstonedError": record(_TOMBSTONE, "The bytes are gone; this is what they were."),
}  # fmt: skip

NAME = Parameter(
    "name",
    "path",
    f"A package's name: 1 to {MAX_NAME} letters, digits, `_`, `-` and `.`, beginning with neither `-` nor "
    "`.`. Compared exactly, in Unicode's normal form C.",
    {"type": "string", "pattern": NAME_PATTERN},
    example="widget",
)
VERSION = Parameter(
    "version",
    "path",
    "A version's number.",
    {"type": "integer", "minimum": 1, "maximum": 10**9 - 1},
    example=1,
)
ALIAS = Parameter("alias", "path", "An alias.", SEGMENT, example="stable")
OWN_ALIAS = Parameter(
    "alias",
    "path",
    "An alias: lower case, digits and single dashes. `latest` is the hub's own.",
    {
        "type": "string",
        "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
        "maxLength": MAX_ALIAS,
        "not": {"const": "latest"},
    },
    example="stable",
)

# Whatever is no object gives no reason.
REASON = Body(
    {
        "type": ["object", "array", "string", "number", "boolean", "null"],
        "properties": {
            "reason": or_null(text("leaked a credential", "Why, for the history.", pattern=TEXT))
        },
    },
    "Why, if you like to say.",
    required=False,
)
NO_PACKAGE = refused("There is no such package.")
NO_VERSION = refused("There is no such package, or no such version.")
GONE = Answer("The version is a tombstone.", ref("TombstonedError"))
ARCHIVE = "application/zip"
SAVED_AS = ("Content-Disposition", "Repr-Digest", "Last-Modified")
LED_AWAY = Answer(
    "Where the bytes are for a minute, if the operator leaves downloads to the store. Follow it without "
    "the key.",
    headers=("Location", "Cache-Control"),
)
MARKDOWN = "text/markdown"

COLLECTION = (
    Operation(
        views.list_packages,
        "/api/packages",
        "All packages, by name",
        {200: listing("The packages.", ref("ListedPackage")), 400: BAD_PAGE},
        parameters=PAGING,
    ),
    Operation(
        views.register,
        "/api/packages",
        "Register an empty package",
        {
            201: Answer("The package.", ref("Package"), at_times=("Idempotent-Replayed",)),
            409: refused("The name is taken, by a deleted package perhaps."),
            415: UNREADABLE,
            422: KEY_REUSED,
        },
        "There is no need to: publishing to a name that is free makes the package.",
        (IDEMPOTENCY_KEY,),
        Body(record({"name": text("widget", pattern=NAME_PATTERN)}, additionalProperties=False)),
    ),
)  # fmt: skip

PACKAGE = (
    Operation(
        views.show_package,
        "/api/packages/{name}",
        "A package, its versions and aliases",
        {200: Answer("The package.", ref("Package")), 404: NO_PACKAGE},
    ),
    Operation(
        views.delete_package,
        "/api/packages/{name}",
        "Delete a package",
        {
            204: done("Every version is a tombstone, every alias is gone."),
            404: NO_PACKAGE,
            415: UNREADABLE,
        },
        "Its versions become tombstones, with their hashes and their history. Its name stays taken, and "
        "publishing to it goes on with the next number.",
        body=REASON,
    ),
    Operation(
        views.download_latest,
        "/api/packages/{name}/latest",
        "Download the newest live version",
        {
            **content("The archive.", ARCHIVE, *SAVED_AS),
            302: LED_AWAY,
            404: refused("There is no such package, or it has no live version."),
        },
        parameters=CONDITIONS,
    ),
    Operation(
        views.show_history,
        "/api/packages/{name}/history",
        "The history of a package",
        {**content("HISTORY.md, as of now.", MARKDOWN), 404: NO_PACKAGE},
        parameters=CONDITIONS,
    ),
    Operation(
        views.show_log,
        "/api/packages/{name}/log",
        "Who did what to a package",
        {200: listing("Events, newest first.", ref("Event")), 400: BAD_PAGE, 404: NO_PACKAGE},
        "Always a page, of 100 unless `limit` says otherwise.",
        parameters=PAGING,
    ),
)

VERSIONS = (
    Operation(
        views.list_versions,
        "/api/packages/{name}/versions",
        "The versions of a package, newest first",
        {
            200: listing("The versions, tombstones included.", ref("Version")),
            400: BAD_PAGE,
            404: NO_PACKAGE,
        },
        parameters=PAGING,
    ),
    Operation(
        views.publish,
        "/api/packages/{name}/versions",
        "Publish the next version",
        {
            201: Answer("The version.", ref("Version"), at_times=("Idempotent-Replayed",)),
            400: refused(
                "There is no file, it is too large, it is no archive that can be taken, its manifest does "
                "not fit, or a field is wrong. `detail` says which."
            ),
            409: Answer("`parent_version` is not the head.", ref("HeadMovedError")),
            413: UPLOAD_TOO_LARGE,
            415: UNREADABLE,
            422: KEY_REUSED,
        },
        "The archive has a `package.toml`, at its root or in the one folder that holds everything, with "
        "`name` and `author` in `[package]`; the name is that of the address. It is stored with its number "
        "in the manifest and a fresh HISTORY.md, all else as it came. A package that is not there is made.",
        (IDEMPOTENCY_KEY,),
        upload(
            "The archive, a ZIP.",
            {
                "summary": text("First light", "One line.", pattern=TEXT),
                "description": text("", "Markdown.", pattern=TEXT),
                "parent_version": text(
                    "1",
                    "The head that you believe in: the highest number used, 0 for a new package.",
                    pattern="^( *[+-]?[0-9]{1,9} *)?$",
                ),
                "author": text(
                    "ann", "Where the manifest names none.", pattern=LINE, maxLength=MAX_AUTHOR
                ),
                "forked_from": text(
                    "gadget@3",
                    "What the first version of a new package was made from.",
                    pattern="^(.+@[0-9]{1,9})?$",
                ),
            },
        ),
    ),
    Operation(
        views.show_version,
        "/api/packages/{name}/versions/{version}",
        "A version",
        {200: Answer("The version, live or a tombstone.", ref("Version")), 404: NO_VERSION},
    ),
    Operation(
        views.tombstone,
        "/api/packages/{name}/versions/{version}",
        "Make a version a tombstone",
        {
            200: Answer("What is left of it.", ref("Version")),
            404: NO_VERSION,
            410: refused("It is one already."),
            415: UNREADABLE,
        },
        "Its bytes are removed; its number, its hash and its history stay. There is no way back. Aliases "
        "that point to it go with it, and `latest` moves to the newest live version.",
        body=REASON,
    ),
    Operation(
        views.download,
        "/api/packages/{name}/versions/{version}/download",
        "Download a version",
        {
            **content("The archive: always the same bytes.", ARCHIVE, *SAVED_AS),
            302: LED_AWAY,
            404: NO_VERSION,
            410: GONE,
        },
        parameters=CONDITIONS,
    ),
    Operation(
        views.show_history_as_of,
        "/api/packages/{name}/versions/{version}/history",
        "The history as of a version",
        {**content("HISTORY.md without what came later.", MARKDOWN), 404: NO_VERSION},
        parameters=CONDITIONS,
    ),
)

ALIASES = (
    Operation(
        views.list_aliases,
        "/api/packages/{name}/aliases",
        "The aliases of a package, by name",
        {200: Answer("The aliases.", list_of(ref("Alias"))), 404: NO_PACKAGE},
    ),
    Operation(
        views.show_alias,
        "/api/packages/{name}/aliases/{alias}",
        "An alias",
        {200: Answer("The alias.", ref("Alias")), 404: refused("No such package, or no such alias.")},
    ),
    Operation(
        views.set_alias,
        "/api/packages/{name}/aliases/{alias}",
        "Point an alias to a version",
        {
            200: Answer("The alias, new or moved.", ref("Alias")),
            400: refused("No alias can have this name, or `version` is missing or no number."),
            404: NO_VERSION,
            409: refused("The version is a tombstone."),
            415: UNREADABLE,
        },
        parameters=(OWN_ALIAS,),
        body=Body(
            record(
                {
                    "version": {
                        "description": "A live version's number. Text that spells it will do, and what is "
                        "no whole number is cut to one.",
                        "type": ["integer", "number", "boolean", "string"],
                        "pattern": "^[0-9]{1,9}$",
                        "examples": [2],
                    }
                }
            )
        ),
    ),
    Operation(
        views.remove_alias,
        "/api/packages/{name}/aliases/{alias}",
        "Remove an alias",
        {
            204: done("It is gone; its version stays."),
            400: refused("No alias can have this name."),
            404: refused("No such package, or no such alias."),
        },
        parameters=(OWN_ALIAS,),
    ),
    Operation(
        views.download_alias,
        "/api/packages/{name}/aliases/{alias}/download",
        "Download what an alias points to",
        {
            **content("The archive.", ARCHIVE, *SAVED_AS),
            302: LED_AWAY,
            404: refused("No such package, or no such alias."),
        },
        parameters=CONDITIONS,
    ),
)  # fmt: skip

DESCRIPTION = Description(
    "packages",
    "Names, each for numbered archives that never change, with a history that is never lost.",
    COLLECTION + PACKAGE + VERSIONS + ALIASES,
    (NAME, VERSION, ALIAS),
    SCHEMAS,
)
