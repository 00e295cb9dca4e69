"""The nodes below `/api` that speak of the organisation itself."""

from hubrepo.kernel.accounts import AccountService, Organisation, OrganisationRef
from hubrepo.kernel.security import OrganisationResource
from hubrepo.kernel.web import Resource, reify


class AboutOrganisation(Resource):
    """A node that knows its organisation."""

    def __init__(self, parent: "OrganisationResource | AboutOrganisation", name: str) -> None:
        super().__init__(parent, name)
        self.organisation: OrganisationRef = parent.organisation

    @reify
    def row(self) -> Organisation:
        """The organisation itself."""
        found: Organisation = self.request.db.get_one(Organisation, self.organisation.id)
        return found

    @reify
    def service(self) -> AccountService:
        """The rules of accounts, in this request."""
        return AccountService(self.request.db, self.request.audit, self.request.now)


class SelfResource(AboutOrganisation):
    """`/api/organisation`."""


class KeysResource(AboutOrganisation):
    """`/api/keys`."""

    def __getitem__(self, name: str) -> "KeyResource":
        return KeyResource(self, name)


class KeyResource(AboutOrganisation):
    """`/api/keys/<prefix>`."""


class MembersResource(AboutOrganisation):
    """`/api/members`."""

    def __getitem__(self, name: str) -> "MemberResource":
        return MemberResource(self, name)


class MemberResource(AboutOrganisation):
    """`/api/members/<username>`."""


class LogResource(AboutOrganisation):
    """`/api/log`."""
