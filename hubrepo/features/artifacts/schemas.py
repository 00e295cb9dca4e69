"""What requests say, made into values. Each function raises Invalid for what cannot be meant."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hubrepo.features.artifacts.errors import BadArtifact, UploadTooLarge
from hubrepo.features.artifacts.models import MAX_FILENAME, MAX_NAME
from hubrepo.features.artifacts.permissions import FLAGS
from hubrepo.features.artifacts.settings import ArtifactSettings
from hubrepo.features.artifacts.tokens import digest_named, is_digest
from hubrepo.kernel.accounts import OrganisationRef
from hubrepo.kernel.base import Invalid, shown
from hubrepo.kernel.blobs import Stage, read_upload
from hubrepo.kernel.web import FileTooLarge, read_json

# Bytes of a JSON body.
MOST_BODY = 64 * 1024

NAME = rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}}"
_NAME = re.compile(NAME)
_CHECKSUM = re.compile("(?:sha256:)?([0-9A-Fa-f]{64})")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class TokenWish:
    """A token that shall be made."""

    admin: bool
    label: str


@dataclass(frozen=True)
class GrantWish:
    """What a token, named by its digest, shall be able to do with a product."""

    product: str
    digest: str
    flags: frozenset[str]


@dataclass(frozen=True)
class TokenAt:
    """A token, named by its digest, and a product that it shall have nothing to do with."""

    product: str
    digest: str


@dataclass(frozen=True)
class VersionAt:
    """A version that shall go."""

    product: str
    version: str


@dataclass(frozen=True)
class UploadWish:
    """A file that shall become a version."""

    product: str
    version: str
    filename: str
    stage: Stage


def name_in_url(text: str) -> str | None:
    """The name that a segment of a URL is; None if it cannot be one."""
    return text if _NAME.fullmatch(text) else None


def token_wish(request: Any) -> TokenWish:
    """What `/register` is asked for."""
    body = _object(request)
    admin, label = body.get("admin", False), body.get("label", "")
    if not isinstance(admin, bool):
        raise Invalid("'admin' must be true or false")
    if not isinstance(label, str):
        raise Invalid("'label' must be text")
    return TokenWish(admin, label)


def product_wish(request: Any) -> str:
    """The name of the product that shall be made."""
    return _name(_object(request), "name")


def grant_wish(request: Any) -> GrantWish:
    """What `addToken` is asked for."""
    body = _object(request)
    product, digest = _name(body, "product"), digest_named(_text(body, "token"))
    permissions = body.get("permissions")
    if not isinstance(permissions, dict):
        raise Invalid("'permissions' must be an object")
    if unknown := sorted(set(permissions) - set(FLAGS)):
        raise Invalid(f"{shown(unknown[0])} is none of the permissions {', '.join(FLAGS)}")
    for flag, value in permissions.items():
        if not isinstance(value, bool):
            raise Invalid(f"'{flag}' must be true or false")
    return GrantWish(product, digest, frozenset(name for name in FLAGS if permissions.get(name)))


def token_at(request: Any) -> TokenAt:
    """What `deleteToken` is asked for. A raw token does not belong in a URL."""
    body, is_query = _object_or_query(request)
    product, token = _name(body, "product"), _text(body, "token")
    if is_query and not is_digest(token):
        raise Invalid("in the query 'token' must be a digest")
    return TokenAt(product, digest_named(token))


def version_at(request: Any) -> VersionAt:
    """What `deleteVersion` is asked for."""
    body, _ = _object_or_query(request)
    return VersionAt(_name(body, "product"), _name(body, "version"))


def upload_wish(
    request: Any, organisation: OrganisationRef, settings: ArtifactSettings
) -> UploadWish:
    """The uploaded file, staged, and what it shall be. Raises UploadTooLarge, BadArtifact."""
    if (request.content_type or "").lower() != "multipart/form-data":
        raise BadArtifact("an upload is a form, of the type multipart/form-data")
    try:
        stage, fields, filename, skipped = read_upload(request, organisation, limit=settings.limit)
    except FileTooLarge as error:
        raise UploadTooLarge(error.message) from None
    if "checksum" in skipped:
        raise BadArtifact("'checksum' must be text, not a file")
    wish = UploadWish(_name(fields, "product"), _name(fields, "version"), _base(filename), stage)
    _check(fields.get("checksum"), stage)
    return wish


def _check(checksum: str | None, stage: Stage) -> None:
    if checksum is None:
        return
    match = _CHECKSUM.fullmatch(checksum)
    if match is None:
        raise BadArtifact("'checksum' must be sha256: and 64 hex digits")
    if match[1].lower() != stage.digest:
        raise BadArtifact(f"the bytes that came have another checksum: sha256:{stage.digest}")


def _base(filename: str) -> str:
    """What is left of a file name once folders, and what cannot be shown, are taken off."""
    base = _CONTROL.sub("", re.split(r"[/\\]", filename)[-1])
    if base in {"", ".", ".."}:
        raise BadArtifact("'file' must have a file name")
    if len(base.encode()) > MAX_FILENAME:
        raise BadArtifact(f"a file name has at most {MAX_FILENAME} bytes")
    return base


def _object(request: Any) -> Mapping[str, object]:
    body = read_json(request, MOST_BODY)
    if not isinstance(body, dict):
        raise Invalid("the body must be a JSON object")
    return body


def _object_or_query(request: Any) -> tuple[Mapping[str, object], bool]:
    """What a DELETE says, and whether in its query: some proxies take the body away."""
    if request.content_length:
        return _object(request), False
    try:
        return dict(request.GET), True
    except UnicodeDecodeError:
        raise Invalid("the query is not valid UTF-8") from None


def _text(body: Mapping[str, object], field: str) -> str:
    value = body.get(field)
    if not isinstance(value, str):
        raise Invalid(f"'{field}' must be text")
    return value


def _name(body: Mapping[str, object], field: str) -> str:
    value = body.get(field)
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Invalid(
            f"'{field}' must be 1 to {MAX_NAME} letters, digits, '.', '_' and '-', the first a letter or digit"
        )
    return value
