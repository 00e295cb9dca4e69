"""What an empty hub begins with, and how much an organisation may keep."""

from dataclasses import dataclass

from hubrepo.kernel.base import setting


@dataclass(frozen=True)
class AccountSettings:
    """What an empty hub begins with."""

    first_organisation: str = setting(
        "",
        help="Slug of the organisation that `hubrepo serve` creates, with a key, in an empty hub.",
    )


@dataclass(frozen=True)
class QuotaSettings:
    """Limits for every organisation that has none of its own; 0 means none."""

    max_stored_bytes: int = setting(
        0, minimum=0, help="Bytes an organisation may keep; 0: no limit."
    )
    max_versions: int = setting(
        0,
        minimum=0,
        help="Package versions an organisation may publish, tombstoned ones included; 0: no limit.",
    )
    max_pages: int = setting(
        0, minimum=0, help="Pages an organisation may have live at a time; 0: no limit."
    )
