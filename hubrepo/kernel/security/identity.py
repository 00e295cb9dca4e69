"""Who calls: a frozen value, detached from any session."""

from dataclasses import dataclass

from hubrepo.kernel.accounts import SCOPES, OrganisationRef

SERVICE = "service"


@dataclass(frozen=True)
class Identity:
    """A credential's organisation, the person behind it if there is one, and what it may do."""

    organisation: OrganisationRef
    credential: str
    username: str | None
    roles: tuple[str, ...] = SCOPES

    @property
    def actor(self) -> str:
        """As the audit and the access log name it."""
        return (
            self.credential if self.username is None else f"{self.credential} user:{self.username}"
        )

    @property
    def display_name(self) -> str:
        """As other people see it: the user's name, or `service`."""
        return self.username if self.username is not None else SERVICE

    @property
    def principals(self) -> list[str]:
        """Its roles, each within its organisation."""
        return [principal(self.organisation, role) for role in self.roles]


def principal(organisation: OrganisationRef, role: str) -> str:
    """Those who have `role` in `organisation`, and in no other."""
    return f"organisation:{organisation.id}:{role}"
