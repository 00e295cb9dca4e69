"""What an organisation's own affairs tell of themselves to those who call the hub."""

from hubrepo.features.organisation import views
from hubrepo.features.organisation.schemas import MOST_HOURS, OVERLAP_HOURS
from hubrepo.kernel.accounts import SCOPES
from hubrepo.kernel.openapi import (
    BAD_PAGE,
    BOOLEAN,
    BYTES,
    LINE,
    PAGING,
    PRECISE,
    SEGMENT,
    UNREADABLE,
    Answer,
    Body,
    Description,
    Operation,
    Parameter,
    Schema,
    done,
    list_of,
    listing,
    or_null,
    record,
    ref,
    refused,
    text,
    told,
)

_LIMIT = or_null({"type": "integer", "minimum": 0, "examples": [52428800]})
_SCOPE = text("read", enum=list(SCOPES))
_WORD = "|".join(SCOPES)
_NAME = r"[\p{L}\p{N}_.?-]"
_ONLY = rf"packages:({_NAME}+(\*{_NAME}*){{0,2}}|\*{_NAME}*(\*{_NAME}*)?)"
_PATTERN = text(
    "packages:team-*",
    "A kind and a name, in which `*` stands for any characters, twice at most, and `?` for one.",
    pattern=f"^{_ONLY}$",
)
# A key that is limited to names is no administrator's.
_CONTRADICTION = {
    "required": ["only", "scopes"],
    "properties": {
        "only": {"anyOf": [{"type": "array", "minItems": 1}, {"type": "string", "minLength": 1}]},
        "scopes": {
            "anyOf": [
                {"type": "array", "contains": {"const": "admin"}},
                {"type": "string", "pattern": "admin"},
            ]
        },
    },
}

_LIMITS = {
    "max_upload_size": told(_LIMIT, "Bytes of one upload."),
    "max_stored_bytes": told(_LIMIT, "Bytes that it may keep."),
    "max_versions": told(_LIMIT, "Versions of one package."),
    "max_pages": told(_LIMIT, "Live pages."),
}
_KEY = {
    "prefix": text("kpf_0123abcd", "What names the key; no secret."),
    "label": text("ci"),
    "user": or_null(text("alice", "Whose it is; null: a service's.")),
    "scopes": told(or_null(list_of(_SCOPE)), "What it was narrowed to; null: not at all."),
    "created_at": PRECISE,
    "expires_at": or_null(PRECISE),
    "revoked_at": or_null(PRECISE),
    "last_used_at": told(or_null(PRECISE), "To the minute."),
    "only": told(or_null(list_of(_PATTERN)), "The names that it is limited to; null: any."),
    "successor": or_null(text("kpf_4567cdef", "The key that was made in its place.")),
}
_NEW_KEY = {
    "key": text("kpf_0123abcd_…", "The whole key, for the only time: keep it now."),
    "prefix": text("kpf_0123abcd"),
    "label": text("ci"),
}

SCHEMAS: dict[str, Schema] = {
    "Organisation": record(
        {
            "name": text("Acme"),
            "slug": text("acme"),
            "created_at": PRECISE,
            "stored_bytes": told(BYTES, "What it keeps."),
            "limits": record(_LIMITS, "Its own limits; null: the hub's."),
        },
        "The organisation of the key.",
    ),
    "Key": record(_KEY, "As much of a key as may be seen."),
    "NewKey": record(_NEW_KEY, "A key that was issued."),
    "RotatedKey": record(
        {
            **_NEW_KEY,
            "old_prefix": text("kpf_4567cdef"),
            "old_expires_at": told(PRECISE, "When the key in whose place it was made ends."),
        },
        "A key that was issued in the place of another.",
    ),
    "Member": record(
        {
            "username": text("alice"),
            "role": text("owner"),
            "active": told(BOOLEAN, "Whether the user may act."),
            "created_at": PRECISE,
        },
        "A user's place in the organisation.",
    ),
}

PREFIX = Parameter(
    "prefix", "path", "A key's prefix, with or without `kpf_`.", SEGMENT,
    example="kpf_0123abcd",
)  # fmt: skip
USERNAME = Parameter("username", "path", "A user's name.", SEGMENT, example="alice")

WISH = Body(
    {
        "type": "object",
        "properties": {
            "label": text("ci", "One line.", maxLength=120, pattern=LINE),
            "user": or_null(text("alice", "Whose it shall be: a member. Nobody's otherwise.")),
            "scopes": {
                "description": "What it may do; all that your own key may, unless you say otherwise.",
                "anyOf": [
                    list_of(_SCOPE),
                    {"type": "string", "pattern": f"^(({_WORD})( ({_WORD}))*)?$"},
                    {"type": "null"},
                ],
                "examples": [["read"]],
            },
            "only": {
                "description": "Names that it shall be limited to: it is good for nothing else then, and no "
                "administrator's.",
                "anyOf": [
                    list_of(_PATTERN),
                    {"type": "string", "pattern": f"^({_ONLY}( {_ONLY})*)?$"},
                    {"type": "null"},
                ],
                "examples": [["packages:team-*"]],
            },
            "expires_at": or_null(
                {"type": "string", "format": "date-time", "examples": ["2126-01-31T12:00:00Z"]}
            ),
        },
        "not": _CONTRADICTION,
        "additionalProperties": False,
    },
    "What the key shall be. All of it may be left out.",
    required=False,
)

OVERLAP = Body(
    {
        "type": "object",
        "properties": {
            "overlap_hours": {
                "description": "For how long the old key stays good.",
                "type": "integer",
                "minimum": 0,
                "maximum": MOST_HOURS,
                "default": OVERLAP_HOURS,
            }
        },
        "additionalProperties": False,
    },
    "How it shall be done. All of it may be left out.",
    required=False,
)

OPERATIONS = (
    Operation(
        views.show_organisation,
        "/api/organisation",
        "The organisation of the key",
        {200: Answer("The organisation.", ref("Organisation"))},
    ),
    Operation(
        views.list_keys,
        "/api/keys",
        "All keys, oldest first",
        {200: Answer("The keys, revoked ones included.", list_of(ref("Key")))},
    ),
    Operation(
        views.issue_key,
        "/api/keys",
        "Issue a key",
        {
            201: Answer("The key, for the only time.", ref("NewKey"), headers=("Cache-Control",)),
            403: refused("The key has not the scope for this, or less than the new one would have."),
            404: refused("The organisation has no such user."),
            415: UNREADABLE,
        },
        body=WISH,
    ),
    Operation(
        views.rotate_key,
        "/api/keys/{prefix}/rotate",
        "Rotate a key",
        {
            201: Answer("A key that may do the same.", ref("RotatedKey"), headers=("Cache-Control",)),
            403: refused("The key has not the scope for this, or less than the other one."),
            404: refused("There is no such key."),
            409: refused("The key was rotated or revoked before, or has expired."),
            415: UNREADABLE,
        },
        "The old key stays good for a while, so that whoever uses it can be given the new one.",
        body=OVERLAP,
    ),
    Operation(
        views.revoke_key,
        "/api/keys/{prefix}",
        "Revoke a key",
        {204: done("It is useless from now on."), 404: refused("There is no such key.")},
    ),
    Operation(
        views.list_members,
        "/api/members",
        "All members, by name",
        {200: Answer("The members.", list_of(ref("Member")))},
    ),
    Operation(
        views.remove_member,
        "/api/members/{username}",
        "End a membership",
        {
            204: done("The user's keys are useless from now on."),
            404: refused("There is no such member."),
        },
    ),
    Operation(
        views.show_log,
        "/api/log",
        "Who did what",
        {200: listing("Events, refusals too, newest first.", ref("Event")), 400: BAD_PAGE},
        "Always a page, of 100 unless `limit` says otherwise.",
        parameters=PAGING,
    ),
)  # fmt: skip

DESCRIPTION = Description(
    "organisation",
    "What an organisation may know and do about itself: its limits, keys, members and log.",
    OPERATIONS,
    (PREFIX, USERNAME),
    SCHEMAS,
)
