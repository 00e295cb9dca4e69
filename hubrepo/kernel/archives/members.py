"""What an archive says of one of its members."""

from dataclasses import dataclass

from hubrepo.kernel.archives.records import DEFLATED, UTF8


@dataclass(frozen=True, slots=True)
class Member:
    """One file or folder of an archive, with all that it takes to write it down again.

    `name` is the text, in which folders end in a slash; `comment` is in UTF-8. `offset` is where
    the stored bytes begin in the file. `level` are the flags that tell how hard it was tried to
    compress them. `internal` and `external` are the format's attributes; `mode` is the part of them
    that Unix knows. There is no extra field: nothing in one follows a member into another archive.
    """

    name: str
    method: int
    crc: int
    size: int
    stored_size: int
    offset: int
    dos_date: int
    dos_time: int
    made_by: int
    level: int = 0
    internal: int = 0
    external: int = 0
    comment: bytes = b""

    @property
    def is_directory(self) -> bool:
        """Whether this is a folder's own entry."""
        return self.name.endswith("/")

    @property
    def is_deflated(self) -> bool:
        """Whether the stored bytes are compressed."""
        return self.method == DEFLATED

    @property
    def flags(self) -> int:
        """The flags that it is written with: texts that are not ASCII are marked as UTF-8."""
        is_plain = self.name.isascii() and self.comment.isascii()
        return self.level | (0 if is_plain else UTF8)

    @property
    def mode(self) -> int:
        """The Unix mode, file type included; 0 if the archive tells none."""
        return self.external >> 16
