"""What can be wrong with organisations, people and keys."""

from hubrepo.kernel.base import Conflict, Invalid, NotFound, TooLarge, shown


class OrganisationExists(Conflict):
    """The slug or the display name is taken."""

    code = "organisation-exists"


class NoSuchOrganisation(NotFound):
    """There is no organisation of that slug."""

    code = "no-such-organisation"

    def __init__(self, slug: str) -> None:
        super().__init__(f"no organisation with slug {shown(slug)}")


class NoSuchUser(NotFound):
    """There is no user of that name."""

    code = "no-such-user"

    def __init__(self, username: str) -> None:
        super().__init__(f"no user with username {shown(username)}")


class NotAMember(Conflict):
    """The user is not in the organisation."""

    code = "not-a-member"

    def __init__(self, username: str, slug: str) -> None:
        super().__init__(f"user {shown(username)} is not a member of organisation {slug!r}")


class MemberElsewhere(Conflict):
    """The user is in another organisation already."""

    code = "member-elsewhere"

    def __init__(self, username: str) -> None:
        super().__init__(f"user {shown(username)} is a member of another organisation")


class NoSuchKey(NotFound):
    """There is no key of that prefix."""

    code = "no-such-key"

    def __init__(self, prefix: str) -> None:
        super().__init__(f"no API key with prefix {prefix!r}")


class KeyIsOver(Conflict):
    """The key was rotated, revoked, or has expired."""

    code = "key-is-over"


class BadAccountData(Invalid):
    """A name, slug, label, scope or date that cannot be."""

    code = "bad-account-data"


class QuotaExceeded(TooLarge):
    """The organisation would keep more than it may."""

    code = "quota-exceeded"
