"""What can be wrong with tokens, products and their versions."""

from hubrepo.features.artifacts.models import MAX_LABEL
from hubrepo.kernel.base import (
    Conflict,
    HubError,
    Invalid,
    NotFound,
    TooLarge,
    Unauthenticated,
)

CHALLENGE = {"WWW-Authenticate": 'ApiKey realm="artifacts"'}


class TokenMissing(Unauthenticated):
    """There is no token in the header."""

    code = "token-missing"
    message = "an API token is required, in the header X-Api-Token"

    def __init__(self) -> None:
        super().__init__(headers=CHALLENGE)


class TokenRefused(Unauthenticated):
    """There is a token, but not a good one: blank, unknown, or pruned."""

    code = "token-refused"
    message = "the API token is not valid"

    def __init__(self) -> None:
        super().__init__(headers=CHALLENGE)


class TokenNotFound(NotFound):
    """No such token in this organisation."""

    code = "token-not-found"
    message = "there is no such token"


class BadLabel(Invalid):
    """A label that cannot be."""

    code = "bad-label"
    message = f"'label' must be one line of at most {MAX_LABEL} characters"


class AdminExists(Conflict):
    """The organisation has an admin token already."""

    code = "admin-exists"

    def __init__(self, slug: str) -> None:
        super().__init__(
            f"organisation {slug!r} has an admin token already: register others with it, or use --force"
        )


class ProductNotFound(NotFound):
    """No such product in this organisation."""

    code = "product-not-found"
    message = "there is no such product"


class VersionNotFound(NotFound):
    """The product has no such version."""

    code = "product-version-not-found"
    message = "there is no such version"


class BytesNotFound(NotFound):
    """The row is there, the bytes are not: a damaged store."""

    code = "bytes-not-found"
    message = "the bytes of this version are not there"


class GrantNotFound(NotFound):
    """The token has no grant at the product."""

    code = "grant-not-found"
    message = "the token has no access to this product"


class ProductExists(Conflict):
    """The name is taken."""

    code = "product-exists"

    def __init__(self, name: str) -> None:
        super().__init__(f"product '{name}' already exists")


class VersionExists(Conflict):
    """A version never changes."""

    code = "product-version-exists"

    def __init__(self, product: str, identifier: str) -> None:
        super().__init__(f"version '{identifier}' of product '{product}' already exists")


class UploadTooLarge(TooLarge):
    """The artifact is over the limit."""

    code = "upload-too-large"


class BadArtifact(Invalid):
    """The upload is not what it should be."""

    code = "bad-artifact"


class UnknownAction(Invalid):
    """`/product/modify` knows three words."""

    code = "unknown-action"
    message = "the action is none of addToken, deleteToken and deleteVersion"


def error_json(error: HubError) -> dict[str, object]:
    """`{"error": …}`, with `details` where there are some: the shape of this surface."""
    details = {"details": dict(error.fields)} if error.fields else {}
    return {"error": error.message, **details}
