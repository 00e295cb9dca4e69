"""What is true of the whole hub: its introduction, its errors, its headers."""

from collections.abc import Mapping

from hubrepo.kernel.openapi.descriptions import Answer, Schema
from hubrepo.kernel.openapi.words import PRECISE, or_null, record, ref, refused, text

ABOUT = """\
A server that keeps what a team builds and publishes. Everything that it keeps belongs to an \
organisation, and so does a key or a token: with it one sees that organisation and no other. What \
belongs to another answers as what does not exist.

Every path works with and without a slash at its end. `HEAD` works wherever `GET` does. `OPTIONS` lists \
the methods of an address. Bodies are JSON, or a form of either kind; an upload is a form \
(`multipart/form-data`). Answers are compact JSON unless something else is said. More fields may be added \
to any of them: let your client ignore what it does not know.

An error is an object whose `detail` is a sentence for people, unless its surface says otherwise; the status \
is for programs. Every answer has an `X-Request-Id`, which the hub's log has too."""

SCHEMAS: Mapping[str, Schema] = {
    "Error": record(
        {"detail": text("Not found.", "What is wrong, for people.")}, "Why a request was refused."
    ),
    "InternalError": record(
        {
            "detail": text("internal error"),
            "request_id": text("5f0c2c1de1a94b7a", "What to ask the operator about."),
        },
        "A defect of the hub.",
    ),
    "Event": record(
        {
            "id": text("0f8fad5b-d9cb-469f-a165-70867728950e", format="uuid"),
            "at": PRECISE,
            "actor": text("key:kpf_0123abcd user:alice", "Who."),
            "action": text("packages:publish", "What."),
            "outcome": text("done", enum=["done", "refused"]),
            "subject": text("package:widget", "To what."),
            "details": {
                "type": "object",
                "description": "More of it; which fields there are depends on the action.",
                "additionalProperties": True,
                "examples": [{"version": 2}],
            },
            "request_id": or_null(text("5f0c2c1de1a94b7a")),
        },
        "Something that was done, or refused.",
    ),
}

HEADERS: Mapping[str, Schema] = {
    "X-Request-Id": text("5f0c2c1de1a94b7a", "Names this request, here and in the hub's log."),
    "Allow": text("GET, HEAD, OPTIONS", "The methods of this address."),
    "WWW-Authenticate": text("Api-Key", "The scheme of `Authorization`."),
    "Retry-After": text("1", "Seconds after which to try again.", pattern="^[0-9]+$"),
    "Link": text(
        '</api/packages?limit=100&cursor=d2lkZ2V0>; rel="next"', "Where the next page is, if there is one."
    ),
    "Location": text("https://s3.example.net/hub/…", "Where to go."),
    "ETag": text('"9f86d081…"', "Names these bytes: the same tag is the same bytes."),
    "Cache-Control": text("private, no-cache", "How long, and by whom, this may be kept."),
    "Accept-Ranges": text("bytes", "Parts may be asked for.", const="bytes"),
    "Content-Range": text("bytes 0-99/1482", "Which part it is."),
    "Content-Disposition": text('attachment; filename="widget-v1.zip"', "Under what name to save it."),
    "Repr-Digest": text("sha-256=:n4bQ…=:", "The SHA-256 of the whole (RFC 9530)."),
    "Last-Modified": text("Sat, 21 Nov 2026 09:48:52 GMT", "When it became what it is."),
    "Idempotent-Replayed": text("true", "This is the first answer again.", const="true"),
}  # fmt: skip

COMMON_ANSWERS: Mapping[str, Answer] = {
    "Invalid": refused("The request cannot be read: its address, its query, a field, or its body."),
    "Unauthenticated": Answer(
        "There is no credential, or it is not good.", ref("Error"), headers=("WWW-Authenticate",)
    ),
    "Forbidden": refused("The key is good, and has not the scope for this, or is limited to other things."),
    "NotFound": refused("There is nothing of that name."),
    "TooManyFailures": Answer(
        "Too many bad credentials came from this address, or for this key.",
        ref("Error"),
        headers=("Retry-After",),
    ),
    "Defect": Answer("A defect of the hub.", ref("InternalError")),
    "Unavailable": Answer(
        "The database or the store is busy or away: try again.", ref("Error"), at_times=("Retry-After",)
    ),
    "Full": refused("The database or the store is full."),
}  # fmt: skip

# What is mounted below `/api` and open to everybody may still be asked with a bad key.
BAD_KEY = {401: COMMON_ANSWERS["Unauthenticated"], 429: COMMON_ANSWERS["TooManyFailures"]}

OPEN_ANSWERS: Mapping[int, str] = {400: "Invalid", 500: "Defect", 503: "Unavailable"}
PRIVATE_ANSWERS: Mapping[int, str] = {
    400: "Invalid",
    401: "Unauthenticated",
    403: "Forbidden",
    404: "NotFound",
    429: "TooManyFailures",
    500: "Defect",
    503: "Unavailable",
    507: "Full",
}
