"""How long the texts of a version may be."""

from dataclasses import dataclass

from hubrepo.kernel.base import setting


@dataclass(frozen=True)
class PackageSettings:
    """Limits of what people write about a version. Every HISTORY.md repeats it."""

    max_summary: int = setting(
        4_096, minimum=512, help="Characters of a summary or of a tombstone's reason."
    )
    max_description: int = setting(65_536, minimum=0, help="Characters of a description.")
