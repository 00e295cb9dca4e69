"""Who calls: a frozen value, detached from any session."""

import re
from dataclasses import dataclass

from hubrepo.kernel.accounts import SCOPES, OrganisationRef, kinds_of, regex_of

SERVICE = "service"


@dataclass(frozen=True)
class Identity:
    """A credential's organisation, the person behind it if there is one, and what it may do.

    `only` are name patterns: with any, it may do that to what they reach, and nothing else.
    """

    organisation: OrganisationRef
    credential: str
    username: str | None
    roles: tuple[str, ...] = SCOPES
    only: tuple[str, ...] = ()

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
        """Its roles, each within its organisation, or within the kinds of things that it reaches there."""
        if not self.only:
            return [principal(self.organisation, role) for role in self.roles]
        kinds = kinds_of(self.only)
        return [principal(self.organisation, role, kind) for role in self.roles for kind in kinds]

    def names(self, kind: str) -> str | None:
        """The regular expression that names of `kind` must match; None: any name will do."""
        return regex_of(self.only, kind) if self.only else None

    def reaches(self, kind: str, name: str) -> bool:
        """Whether it has to do with the thing of that kind and name at all."""
        names = self.names(kind)
        return names is None or re.fullmatch(names, name) is not None


def principal(organisation: OrganisationRef, role: str, kind: str = "") -> str:
    """Those who have `role` in `organisation`, and in no other: for everything, or one kind of things."""
    return f"organisation:{organisation.id}:{role}{kind and ':'}{kind}"
