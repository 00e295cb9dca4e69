"""SHA-256 as it is written in the different places it goes to."""

import base64


def content_hash(digest: str) -> str:
    """`sha256:<hex>`, as bodies and HISTORY.md show it."""
    return f"sha256:{digest}"


def repr_digest(digest: str) -> str:
    """The value of a `Repr-Digest` header (RFC 9530) for the hex digest `digest`."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode('ascii')}:"
