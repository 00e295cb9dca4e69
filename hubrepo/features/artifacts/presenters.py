"""Tokens, products and versions as this surface's clients know them."""

from collections.abc import Collection, Iterable

from hubrepo.features.artifacts.catalogue import GrantFacts, TokenFacts, VersionFacts
from hubrepo.features.artifacts.permissions import FLAGS
from hubrepo.kernel.base import content_hash, iso_micros
from hubrepo.kernel.blobs import Blob


def token_json(token: TokenFacts) -> dict[str, object]:
    """A token, by its digest."""
    return {
        "token": token.digest,
        "admin": token.admin,
        "label": token.label,
        "created_at": iso_micros(token.created_at),
        "last_used_at": iso_micros(token.last_used_at) if token.last_used_at else None,
    }


def flags_json(flags: Collection[str]) -> dict[str, bool]:
    """All four flags."""
    return {flag: flag in flags for flag in FLAGS}


def label_of(product: str, identifier: str, filename: str) -> str:
    """What clients take for the path of a version. Nothing lies there; only its end means something."""
    return f"./products/{product}/{identifier}/{filename}"


def uploaded_json(product: str, identifier: str, filename: str, blob: Blob) -> dict[str, object]:
    """A version that is new."""
    return {
        "product": product,
        "version": identifier,
        "path": label_of(product, identifier, filename),
        "checksum": content_hash(blob.digest),
        "size": blob.size,
    }


def product_json(
    name: str, grants: Iterable[GrantFacts], versions: Iterable[VersionFacts]
) -> dict[str, object]:
    """A product, who may do what with it, and its versions."""
    return {
        "name": name,
        "tokens": {each.digest: flags_json(each.flags) for each in grants},
        "versions": {
            each.identifier: {
                "path": label_of(name, each.identifier, each.filename),
                "checksum": content_hash(each.digest),
                "size": each.size,
                "created_at": iso_micros(each.created_at),
            }
            for each in versions
        },
    }
