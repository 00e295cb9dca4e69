"""What an archive says of one of its members."""

from dataclasses import dataclass

from hubrepo.kernel.archives.records import DEFLATED, UTF8


@dataclass(frozen=True, slots=True)
class Member:
    """One file or folder of an archive, with all that it takes to write it down again.

    `name` is the text, in which folders end in a slash; `raw_name` and `comment` are bytes as
    stored, in UTF-8 if `flags` say so and in code page 437 otherwise. `offset` is where the stored
    bytes begin in the file. `flags` and the two `…_extra` hold only what may be kept. `internal`
    and `external` are the format's attributes; `mode` is the part of them that Unix knows.
    """

    name: str
    method: int
    crc: int
    size: int
    stored_size: int
    offset: int
    raw_name: bytes
    flags: int
    dos_date: int
    dos_time: int
    made_by: int
    needs: int
    internal: int = 0
    external: int = 0
    comment: bytes = b""
    local_extra: bytes = b""
    directory_extra: bytes = b""

    @property
    def is_directory(self) -> bool:
        """Whether this is a folder's own entry."""
        return self.name.endswith("/")

    @property
    def is_deflated(self) -> bool:
        """Whether the stored bytes are compressed."""
        return self.method == DEFLATED

    @property
    def is_utf8(self) -> bool:
        """Whether name and comment are stored in UTF-8."""
        return bool(self.flags & UTF8)

    @property
    def mode(self) -> int:
        """The Unix mode, file type included; 0 if the archive tells none."""
        return self.external >> 16
