"""Pages, what was published at them, and which of it is live."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Select, String, Text, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from hubrepo.kernel.accounts import Organisation, OrganisationRef
from hubrepo.kernel.blobs import Blob
from hubrepo.kernel.db import Base, Id, Instant, name_type

MAX_PATH = 255
MAX_SEGMENTS = 8
MAX_AUTHOR = 255

# The store that pages lie in, if they have one of their own.
PAGES = "pages"


class Page(Base):
    """A path at which something was published, for ever. `head` is the highest number ever used.

    `changed_at` is when what is served at it last changed: whole seconds, at no address the same
    twice, for that is all that a reader without an entity tag can compare.
    """

    __tablename__ = "pages_page"
    __table_args__ = (UniqueConstraint("organisation_id", "path"), {"sqlite_autoincrement": True})

    id: Mapped[Id]
    organisation_id: Mapped[int] = mapped_column(ForeignKey(Organisation.id))
    path: Mapped[str] = mapped_column(name_type(MAX_PATH))
    head: Mapped[int] = mapped_column(default=0)
    changed_at: Mapped[datetime | None] = mapped_column(Instant)

    @classmethod
    def at(cls, organisation: OrganisationRef, path: str) -> Select["Page"]:
        """The page at that path in `organisation`."""
        return select(cls).where(cls.organisation_id == organisation.id, cls.path == path)


class Publication(Base):
    """An archive that was published at a page: immutable, save for when it was retired.

    `size` is that of the archive, `files` how many are served of it. `rules` is JSON (see
    `conventions`). `retired_at` is when it was last replaced or unpublished; None while it is live.
    """

    __tablename__ = "pages_publication"
    __table_args__ = (
        UniqueConstraint("organisation_id", "page_id", "number"),
        Index(None, "organisation_id", "retired_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    organisation_id: Mapped[int] = mapped_column(ForeignKey(Organisation.id))
    page_id: Mapped[int] = mapped_column(ForeignKey(Page.id))
    number: Mapped[int]
    published_at: Mapped[datetime] = mapped_column(Instant)
    published_by: Mapped[str] = mapped_column(String(MAX_AUTHOR))
    digest: Mapped[str] = mapped_column(String(64))
    size: Mapped[int] = mapped_column(BigInteger)
    files: Mapped[int]
    blob_id: Mapped[int] = mapped_column(ForeignKey(Blob.id), index=True)
    rules: Mapped[str | None] = mapped_column(Text)
    retired_at: Mapped[datetime | None] = mapped_column(Instant)


class LivePage(Base):
    """What is served at a path: one row, and publishing over it changes nothing else that readers see."""

    __tablename__ = "pages_live"
    __table_args__ = (
        UniqueConstraint("organisation_id", "path"),
        Index(None, "organisation_id", "published_at", "path"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[Id]
    organisation_id: Mapped[int] = mapped_column(ForeignKey(Organisation.id))
    path: Mapped[str] = mapped_column(name_type(MAX_PATH))
    page_id: Mapped[int] = mapped_column(ForeignKey(Page.id))
    publication_id: Mapped[int] = mapped_column(ForeignKey(Publication.id), index=True)
    published_at: Mapped[datetime] = mapped_column(Instant)
    changed_at: Mapped[datetime] = mapped_column(Instant)


class PublishedFile(Base):
    """A file of a publication: the extent of its archive that holds it.

    `stored_digest` is that of the deflate stream, None where there is none. `is_utf8` tells whether
    the content can be read as that.
    """

    __tablename__ = "pages_file"
    __table_args__ = ({"sqlite_with_rowid": False},)

    # The key is the place: all files of a publication lie together, in the order of their paths.
    publication_id: Mapped[int] = mapped_column(ForeignKey(Publication.id), primary_key=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey(Organisation.id), primary_key=True)
    path: Mapped[str] = mapped_column(name_type(None), primary_key=True)
    offset: Mapped[int] = mapped_column(BigInteger)
    stored_size: Mapped[int] = mapped_column(BigInteger)
    size: Mapped[int] = mapped_column(BigInteger)
    crc: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str] = mapped_column(String(64))
    stored_digest: Mapped[str | None] = mapped_column(String(64))
    is_utf8: Mapped[bool]
