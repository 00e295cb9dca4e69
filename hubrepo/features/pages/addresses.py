"""What an address means that a visitor asks for: which page, and which of its files.

A page may lie at any of a few paths that an address begins with, so all are asked for at once, with
the files that would answer in each: one statement, by the organisation's slug, whatever there is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, and_, bindparam, select

from hubrepo.features.pages.conventions import HEADERS, REDIRECTS
from hubrepo.features.pages.models import LivePage, Publication, PublishedFile
from hubrepo.features.pages.rules import Rules
from hubrepo.features.pages.schemas import is_path, prefixes
from hubrepo.kernel.accounts import Organisation, OrganisationRef
from hubrepo.kernel.blobs import Blob, BlobMissing
from hubrepo.kernel.db import Rows
from hubrepo.kernel.serving import Extent, content_type_of, is_text

INDEX, NOT_FOUND = "index.html", "404.html"
HIDDEN = frozenset({REDIRECTS, HEADERS})

# Of what an address may mean, that of long ones is not kept: strangers choose them.
MOST_REMEMBERED = 200


@dataclass(frozen=True)
class Address:
    """What was asked for within a page: a file, or a folder with its slash; None: the page without one."""

    path: str | None

    @property
    def in_rules(self) -> str:
        """As the page's own rules spell it."""
        return f"/{self.path or ''}"

    @property
    def file(self) -> str | None:
        """The file that it may be."""
        return self.path if self.path and not self.path.endswith("/") else None

    @property
    def index(self) -> str:
        """The file that stands for it, if it is a folder."""
        return f"{self.path.removesuffix('/')}/{INDEX}" if self.path else INDEX

    @property
    def candidates(self) -> tuple[str, ...]:
        """The files that may answer it, the best one first."""
        return (self.index,) if self.file is None else (self.file, self.index)

    @property
    def lacks_slash(self) -> bool:
        """Whether, if it is a folder, relative links in its index would lead astray."""
        return self.path is None or self.file is not None


class FileFacts(NamedTuple):
    """A file of a publication: what it is called, what it is, and where it lies."""

    path: str
    content_type: str
    extent: Extent


class Visited(NamedTuple):
    """What is found at an address: a live page, and those of the wanted files that it has.

    `digest` is that of the archive that holds them, `store` names the store that it lies in.
    """

    organisation: OrganisationRef
    path: str
    publication_id: int
    changed_at: datetime
    digest: str
    store: str
    rules: Rules
    files: Mapping[str, FileFacts]

    def first_of(self, address: Address) -> FileFacts | None:
        """The file that answers an address."""
        return _first_of(address, self.files)

    def within(self, path: str) -> Address:
        """`path` as seen from this page, in which it lies."""
        return _within(path, self.path)


OWNER: BindParameter[int] = bindparam("owner")
SLUG: BindParameter[str] = bindparam("slug")
PATHS: BindParameter[Sequence[str]] = bindparam("paths", expanding=True)
FILES: BindParameter[Sequence[str]] = bindparam("files", expanding=True)
PUBLICATION: BindParameter[int] = bindparam("publication")

_FILE = (
    PublishedFile.path,
    PublishedFile.is_utf8,
    *(getattr(PublishedFile, name) for name in Extent._fields),
)
_OWNER = (Organisation.id, Organisation.guid, Organisation.slug, Organisation.max_upload_size)
_PAGE = (
    LivePage.path.label("page"),
    LivePage.publication_id,
    LivePage.changed_at,
    Publication.digest.label("archive"),
    Blob.store,
    Publication.rules,
)
# Where the file begins in a row that tells of all three.
_THIRD = len(_OWNER) + len(_PAGE)

# One statement, so that the page and its files are seen at one moment, whoever publishes meanwhile.
_VISIT = (
    select(*_OWNER, *_PAGE, *_FILE)
    .join(LivePage, LivePage.organisation_id == Organisation.id)
    .join(Publication, Publication.id == LivePage.publication_id)
    .join(Blob, Blob.id == Publication.blob_id)
    .outerjoin(
        PublishedFile,
        and_(
            PublishedFile.organisation_id == Organisation.id,
            PublishedFile.publication_id == LivePage.publication_id,
            PublishedFile.path.in_(FILES),
        ),
    )
    .where(Organisation.slug == SLUG, LivePage.path.in_(PATHS))
)
_SOME_FILES = select(*_FILE).where(
    PublishedFile.organisation_id == OWNER,
    PublishedFile.publication_id == PUBLICATION,
    PublishedFile.path.in_(FILES),
)
_STILL_KEPT = select(Publication.id).where(
    Publication.organisation_id == OWNER, Publication.id == PUBLICATION
)


def visited(rows: Rows, slug: str, path: str) -> Visited | None:
    """The live page that `path` lies in, with those of its files that may answer it."""
    paths, files = _asked(path) if len(path) <= MOST_REMEMBERED else _asked.__wrapped__(path)
    if not paths:
        return None
    return rows.read(_VISIT, {"slug": slug, "paths": paths, "files": files}, _visited)


def led_to(rows: Rows, page: Visited, target: str) -> FileFacts | None:
    """The file of `page` that a rule's target, which begins with a slash, is.

    Raises BlobMissing if the publication was forgotten since the page was visited.
    """
    address = Address(target.removeprefix("/"))
    key = {"owner": page.organisation.id, "publication": page.publication_id}
    found = rows.all(_SOME_FILES, {**key, "files": address.candidates})
    if not found and rows.first(_STILL_KEPT, key) is None:
        raise BlobMissing(page.digest)
    return _first_of(address, {row.path: _file(row) for row in found})


def _first_of(address: Address, files: Mapping[str, FileFacts]) -> FileFacts | None:
    for path in address.candidates:
        if path in files and path not in HIDDEN:
            return files[path]
    return None


def _within(path: str, page: str) -> Address:
    return Address(path[len(page) + 1 :] if len(path) > len(page) else None)


@lru_cache(maxsize=1024)
def _asked(path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The pages that `path` may be in, and the files of these that may answer it."""
    pages = [each for each in prefixes(path) if is_path(each)]
    files = {file for page in pages for file in _within(path, page).candidates}
    return tuple(pages), tuple(sorted(files | {NOT_FOUND}))


def _visited(rows: Sequence[Any]) -> Visited | None:
    if not rows:
        return None
    owner, guid, slug, max_upload_size, *page = rows[0][:_THIRD]
    path, publication_id, changed_at, digest, store, rules = page
    organisation = OrganisationRef(owner, guid.hex, slug, max_upload_size)
    found = (row[_THIRD:] for row in rows)
    files = {each[0]: _file(each) for each in found if each[0] is not None}
    return Visited(
        organisation,
        path,
        publication_id,
        changed_at,
        digest,
        store,
        _remembered_rules(rules),
        files,
    )


def _file(row: Sequence[Any]) -> FileFacts:
    path, is_utf8, *extent = row
    kind = content_type_of(path)
    charset = "; charset=utf-8" if is_utf8 and is_text(kind) else ""
    return FileFacts(path, kind + charset, Extent._make(extent))


@lru_cache(maxsize=128)
def _remembered_rules(text: str | None) -> Rules:
    return Rules() if text is None else Rules.load(text)
