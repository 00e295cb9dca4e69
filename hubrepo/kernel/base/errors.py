"""The kinds of error a request can end in.

A service raises a feature's subclass of one of these kinds; one renderer turns it into an answer in
the shape the surface's clients know. Nothing here knows HTTP beyond the number of its status.
"""

from collections.abc import Mapping


class HubError(Exception):
    """An expected refusal: safe to show, never a bug.

    `message` is a sentence for people. `fields` are further members of the answer's body, in order.
    `headers` go on the answer. `code` is stable, in kebab case, for logs and the audit.
    """

    status: int = 500
    code: str = "error"
    message: str = "the request failed"

    def __init__(
        self,
        message: str | None = None,
        *,
        fields: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.message = message if message is not None else type(self).message
        self.fields: Mapping[str, object] = fields or {}
        self.headers: Mapping[str, str] = headers or {}
        super().__init__(self.message)


class Invalid(HubError):
    """The request itself is wrong, whatever the state of the hub."""

    status = 400
    code = "invalid"
    message = "the request is not valid"


class Unauthenticated(HubError):
    """There is no credential, or it is not good."""

    status = 401
    code = "unauthenticated"
    message = "Authentication credentials were not provided."


class Forbidden(HubError):
    """The credential is good, yet may not do this."""

    status = 403
    code = "forbidden"
    message = "You do not have permission to perform this action."


class NotFound(HubError):
    """There is nothing of that name, or nothing that this credential may know of."""

    status = 404
    code = "not-found"
    message = "Not found."


class Conflict(HubError):
    """The request is fine, but the state of the hub forbids it."""

    status = 409
    code = "conflict"
    message = "the request conflicts with the current state"


class Gone(HubError):
    """It was here and will not come back."""

    status = 410
    code = "gone"
    message = "gone"


class TooLarge(HubError):
    """The request, or what it would add, is over a limit; the message names the limit."""

    status = 413
    code = "too-large"
    message = "the request is too large"


class UnsupportedMedia(HubError):
    """The body is of a type that this surface does not read."""

    status = 415
    code = "unsupported-media-type"
    message = "unsupported media type"


class Unprocessable(HubError):
    """The request can be read, but cannot mean anything here."""

    status = 422
    code = "unprocessable"
    message = "the request cannot be processed"


class TooManyRequests(HubError):
    """The caller must wait; `Retry-After` says how long."""

    status = 429
    code = "too-many-requests"
    message = "too many requests"


class Unavailable(HubError):
    """A part of the hub is busy or down; trying again later is right."""

    status = 503
    code = "unavailable"
    message = "the service is busy, try again"


class Misconfigured(Exception):
    """The hub cannot start. The message is one sentence that says which line to change."""
