"""Organisations, keys, members and events as HTTP shows them."""

from hubrepo.kernel.accounts import ApiKey, Membership, Organisation
from hubrepo.kernel.base import iso_micros


def organisation_json(organisation: Organisation) -> dict[str, object]:
    """An organisation, what it keeps, and its own limits (null: the hub's)."""
    return {
        "name": organisation.name,
        "slug": organisation.slug,
        "created_at": iso_micros(organisation.created_at),
        "stored_bytes": organisation.stored_bytes,
        "limits": {
            "max_upload_size": organisation.max_upload_size,
            "max_stored_bytes": organisation.max_stored_bytes,
            "max_versions": organisation.max_versions,
            "max_pages": organisation.max_pages,
        },
    }


def key_json(key: ApiKey) -> dict[str, object]:
    """A key, as much of it as may be seen."""
    return {
        "prefix": key.hint,
        "label": key.label,
        "user": key.user.username if key.user is not None else None,
        "scopes": key.scopes.split() or None,
        "only": key.only.split() if key.only else None,
        "created_at": iso_micros(key.created_at),
        "expires_at": iso_micros(key.expires_at) if key.expires_at else None,
        "revoked_at": iso_micros(key.revoked_at) if key.revoked_at else None,
        "last_used_at": iso_micros(key.last_used_at) if key.last_used_at else None,
        "successor": f"kpf_{key.successor}" if key.successor else None,
    }


def member_json(membership: Membership) -> dict[str, object]:
    """A member."""
    return {
        "username": membership.user.username,
        "role": membership.role,
        "active": membership.user.active,
        "created_at": iso_micros(membership.created_at),
    }
