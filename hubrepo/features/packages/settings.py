"""How long the texts of a version may be, besides the limit for all fields of a request."""

from dataclasses import dataclass

from hubrepo.kernel.base import setting


@dataclass(frozen=True)
class PackageSettings:
    """Limits of what people write about a version. Every HISTORY.md repeats it."""

    max_summary: int = setting(
        0, minimum=0, help="Characters of a summary or of a tombstone's reason; 0: no limit."
    )
    max_description: int = setting(0, minimum=0, help="Characters of a description; 0: no limit.")
