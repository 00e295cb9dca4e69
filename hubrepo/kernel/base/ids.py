"""Identifiers and secrets."""

import secrets
from uuid import UUID, uuid4


def new_guid() -> UUID:
    """A fresh random GUID (version 4)."""
    return uuid4()


def random_hex(bits: int) -> str:
    """Lower-case hex digits of `bits` random bits."""
    return secrets.token_hex(bits // 8)


def random_text(bits: int) -> str:
    """URL-safe base64, without padding, of `bits` random bits."""
    return secrets.token_urlsafe(bits // 8)
