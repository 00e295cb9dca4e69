"""What happens to organisations, people and keys."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class OrganisationCreated:
    """A new tenant."""

    action: ClassVar[str] = "organisation:create"
    slug: str
    name: str

    @property
    def subject(self) -> str:  # noqa: D102
        return f"organisation:{self.slug}"


@dataclass(frozen=True)
class LimitsSet:
    """An organisation's own limits were set; None: the hub's."""

    action: ClassVar[str] = "organisation:limit"
    slug: str
    max_upload_size: int | None
    max_stored_bytes: int | None
    max_versions: int | None
    max_pages: int | None

    @property
    def subject(self) -> str:  # noqa: D102
        return f"organisation:{self.slug}"


@dataclass(frozen=True)
class MemberAdded:
    """A user joined an organisation."""

    action: ClassVar[str] = "member:add"
    username: str
    role: str

    @property
    def subject(self) -> str:  # noqa: D102
        return f"user:{self.username}"


@dataclass(frozen=True)
class MemberRemoved:
    """A user left an organisation."""

    action: ClassVar[str] = "member:remove"
    username: str

    @property
    def subject(self) -> str:  # noqa: D102
        return f"user:{self.username}"


@dataclass(frozen=True)
class UserActivated:
    """A user may act again, or may not act any more."""

    action: ClassVar[str] = "user:activate"
    username: str
    active: bool

    @property
    def subject(self) -> str:  # noqa: D102
        return f"user:{self.username}"


@dataclass(frozen=True)
class KeyIssued:
    """A key was made."""

    action: ClassVar[str] = "key:issue"
    prefix: str
    label: str
    user: str | None
    scopes: str
    only: str | None
    expires_at: str | None

    @property
    def subject(self) -> str:  # noqa: D102
        return f"key:kpf_{self.prefix}"


@dataclass(frozen=True)
class KeyRotated:
    """A new key takes the place of one, which ends at `expires_at`."""

    action: ClassVar[str] = "key:rotate"
    prefix: str
    successor: str
    expires_at: str

    @property
    def subject(self) -> str:  # noqa: D102
        return f"key:kpf_{self.prefix}"


@dataclass(frozen=True)
class KeyRevoked:
    """A key was made useless."""

    action: ClassVar[str] = "key:revoke"
    prefix: str

    @property
    def subject(self) -> str:  # noqa: D102
        return f"key:kpf_{self.prefix}"
