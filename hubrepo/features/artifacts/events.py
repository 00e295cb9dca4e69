"""What happens to tokens and products. A token is named by the beginning of its digest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

# Digits of a digest that name a token in the log.
SHOWN = 12


def token_name(digest: str) -> str:
    """As the log names a token."""
    return f"token:{digest[:SHOWN]}"


@dataclass(frozen=True)
class TokenEvent:
    """What happened to a token."""

    action: ClassVar[str]
    token: str

    @property
    def subject(self) -> str:
        """The token."""
        return self.token


@dataclass(frozen=True)
class TokenIssued(TokenEvent):
    """A token was made."""

    action = "artifacts:register"
    admin: bool
    label: str


@dataclass(frozen=True)
class TokenPruned(TokenEvent):
    """A token was removed, and so many grants with it."""

    action = "artifacts:prune"
    grants: int


@dataclass(frozen=True)
class ProductEvent:
    """What happened to a product."""

    action: ClassVar[str]
    product: str

    @property
    def subject(self) -> str:
        """The product."""
        return f"product:{self.product}"


@dataclass(frozen=True)
class ProductCreated(ProductEvent):
    """A name was taken."""

    action = "artifacts:create"


@dataclass(frozen=True)
class ProductDeleted(ProductEvent):
    """A product was removed, with so many versions."""

    action = "artifacts:delete"
    versions: int


@dataclass(frozen=True)
class GrantSet(ProductEvent):
    """A token may do this with a product, and nothing else."""

    action = "artifacts:grant"
    token: str
    flags: Sequence[str]


@dataclass(frozen=True)
class GrantRemoved(ProductEvent):
    """A token has nothing more to do with a product."""

    action = "artifacts:revoke"
    token: str


@dataclass(frozen=True)
class VersionUploaded(ProductEvent):
    """A version was added."""

    action = "artifacts:upload"
    version: str
    filename: str
    content_hash: str
    size: int


@dataclass(frozen=True)
class VersionDeleted(ProductEvent):
    """A version was removed."""

    action = "artifacts:withdraw"
    version: str
