"""Why a credential was not taken."""

from hubrepo.kernel.base import TooManyRequests, Unauthenticated

CHALLENGE = {"WWW-Authenticate": "Api-Key"}


class CredentialsMissing(Unauthenticated):
    """No credential that any authenticator knows."""

    code = "credentials-missing"

    def __init__(self) -> None:
        super().__init__(headers=CHALLENGE)


class KeyNotAccepted(Unauthenticated):
    """A key, but not a good one: malformed, unknown, wrong, revoked, expired, or its user is gone.

    `organisation_id` is known when its prefix is; the answer does not tell.
    """

    code = "invalid-api-key"
    message = "invalid API key"

    def __init__(self, organisation_id: int | None = None, prefix: str | None = None) -> None:
        super().__init__(headers=CHALLENGE)
        self.organisation_id, self.prefix = organisation_id, prefix


class TooManyFailures(TooManyRequests):
    """Too many bad credentials from one address, or for one key."""

    code = "too-many-failures"
    message = "too many failed attempts, wait a minute"
