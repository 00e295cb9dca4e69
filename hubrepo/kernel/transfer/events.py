"""What happens to organisations that move between hubs."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class OrganisationExported:
    """All that an organisation has was written into a file."""

    action: ClassVar[str] = "organisation:export"
    slug: str
    rows: int
    blobs: int
    size: int

    @property
    def subject(self) -> str:  # noqa: D102
        return f"organisation:{self.slug}"


@dataclass(frozen=True)
class OrganisationImported:
    """An organisation came out of a file."""

    action: ClassVar[str] = "organisation:import"
    slug: str
    rows: int
    blobs: int
    size: int

    @property
    def subject(self) -> str:  # noqa: D102
        return f"organisation:{self.slug}"
