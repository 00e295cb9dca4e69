"""Tenants, people, memberships, keys and quotas."""

from typing import Any

from hubrepo.kernel.accounts.errors import (
    BadAccountData,
    KeyIsOver,
    NoSuchKey,
    NoSuchUser,
    NotAMember,
    QuotaExceeded,
)
from hubrepo.kernel.accounts.keys import (
    KeyHolder,
    KeyRefused,
    NewKey,
    OrganisationRef,
    keys_in,
    verify_key,
)
from hubrepo.kernel.accounts.models import ApiKey, Membership, Organisation, User
from hubrepo.kernel.accounts.patterns import kinds_of, regex_of
from hubrepo.kernel.accounts.services import (
    SCOPES,
    AccountService,
    Limits,
    check_bytes,
    count_bytes,
    reserve_bytes,
)
from hubrepo.kernel.accounts.settings import AccountSettings, QuotaSettings

__all__ = [
    "SCOPES",
    "AccountService",
    "ApiKey",
    "BadAccountData",
    "KeyHolder",
    "KeyIsOver",
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
    "check_bytes",
    "count_bytes",
    "keys_in",
    "kinds_of",
    "regex_of",
    "reserve_bytes",
    "verify_key",
]


def includeme(config: Any) -> None:
    """Read the settings."""
    config.registry.account_settings = config.add_section(AccountSettings, "hubrepo")
    config.registry.quotas = config.add_section(QuotaSettings, "hubrepo.quotas")
