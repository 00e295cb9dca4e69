"""How much an archive may ask of those who open it."""

from dataclasses import dataclass

from hubrepo.kernel.base import setting


@dataclass(frozen=True)
class ArchiveLimits:
    """The section `hubrepo.archives`. Going over one of these refuses the archive."""

    max_members: int = setting(10_000, minimum=1, help="How many members an archive may have.")
    max_expanded: int = setting(
        1024**3, minimum=1, help="How many bytes all members of an archive may inflate to together."
    )
    max_ratio: int = setting(
        200,
        minimum=1,
        help="How many times its stored size a member may inflate to, once that is beyond 1 MiB.",
    )
    max_name: int = setting(
        1024, minimum=1, help="How many bytes the name of a member may have in UTF-8."
    )
    max_depth: int = setting(64, minimum=1, help="How many segments the path of a member may have.")


def over_limit(limits: ArchiveLimits, field: str, unit: str = "") -> str:
    """The words that name the limit `field`, its value and the setting it comes from."""
    return f"the limit of {getattr(limits, field)}{unit and ' '}{unit} (hubrepo.archives.{field})"
