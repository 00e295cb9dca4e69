"""Tenants, people, memberships, keys and quotas."""

from typing import Any

from hubrepo.kernel.accounts.errors import (
    BadAccountData,
    NoSuchKey,
    NoSuchUser,
    NotAMember,
    QuotaExceeded,
)
from hubrepo.kernel.accounts.keys import KeyHolder, KeyRefused, NewKey, OrganisationRef, verify_key
from hubrepo.kernel.accounts.models import ApiKey, Membership, Organisation, User
from hubrepo.kernel.accounts.services import (
    SCOPES,
    AccountService,
    Limits,
    count_bytes,
    reserve_bytes,
    touch_key,
)
from hubrepo.kernel.accounts.settings import AccountSettings, QuotaSettings

__all__ = [
    "SCOPES",
    "AccountService",
    "ApiKey",
    "BadAccountData",
    "KeyHolder",
    "KeyRefused",
    "Limits",
    "Membership",
    "NewKey",
    "NoSuchKey",
    "NoSuchUser",
    "NotAMember",
    "Organisation",
    "OrganisationRef",
    "QuotaExceeded",
    "QuotaSettings",
    "User",
    "count_bytes",
    "reserve_bytes",
    "touch_key",
    "verify_key",
]


def includeme(config: Any) -> None:
    """Read the settings."""
    config.registry.account_settings = config.add_section(AccountSettings, "hubrepo")
    config.registry.quotas = config.add_section(QuotaSettings, "hubrepo.quotas")
