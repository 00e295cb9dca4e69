"""Request bodies: fields in any of three notations, and uploads that are never whole in memory.

Nothing here asks WebOb for `request.POST`: it would hold an upload in memory, and parse a body full
of line ends at a crawl.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import parse_qsl, unquote

from multipart import MultipartError, PushMultipartParser, parse_options_header

from hubrepo.kernel.base import Invalid, TooLarge, UnsupportedMedia, setting

CHUNK = 256 * 1024
MAX_FIELDS = 1000
# Values of a JSON body: a few bytes each there, and some hundred in memory.
MAX_VALUES = 10_000
MIB = 1024 * 1024


@dataclass(frozen=True)
class UploadSettings:
    """How much one request may bring. What an organisation has of its own goes before."""

    max_size: int = setting(10 * MIB, minimum=1, help="Bytes of one uploaded file.")
    max_fields_size: int = setting(
        5 * MIB // 2, minimum=1024, help="Bytes of all other fields of a request together."
    )


class Sink(Protocol):
    """Where the bytes of an uploaded file go."""

    def write(self, data: bytes, /) -> object:
        """Take the next bytes."""

    def discard(self) -> None:
        """Forget everything."""


# A text, which may lack its end (or it would be looked for again and again), and what goes before values.
_TEXT_OR_MARK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{,]', re.DOTALL)

_HALF = re.compile(rb"\\u[dD][89a-fA-F]")

# As older clients send names that are not ASCII, although RFC 7578 forbids it in forms.
_EXTENDED_FILENAME = re.compile(r";\s*filename\*\s*=\s*utf-8'[^';]*'([^;\s]*)", re.IGNORECASE)

SinkT = TypeVar("SinkT", bound=Sink)


class FileTooLarge(Invalid):
    """The uploaded file is over the limit."""

    code = "file-too-large"

    def __init__(self, limit: int) -> None:
        size = f"{limit // MIB} MB" if limit % MIB == 0 else f"{limit} bytes"
        super().__init__(f"File size must not exceed {size}.")


class BodyTooLarge(TooLarge):
    """The body is over the limit of those who read no more."""

    code = "body-too-large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body of the request must not exceed {limit} bytes")


class FieldsTooLarge(Invalid):
    """The fields of the request are over the limit."""

    code = "fields-too-large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"fields must not exceed {limit} bytes (hubrepo.uploads.max_fields_size)")


@dataclass
class Form(Generic[SinkT]):
    """The text fields of a form, and the file that was asked for, with the name that its sender gave it.

    `skipped` are the names of other files.
    """

    fields: dict[str, str] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    file: SinkT | None = None
    filename: str = ""

    def discard(self) -> None:
        """Forget the file."""
        if self.file is not None:
            self.file.discard()
            self.file = None


def read_fields(request: Any) -> object:
    """What the body says: an object of text fields, or any JSON value. No body is an empty object."""
    kind, _ = parse_options_header(request.content_type or "")
    length = request.content_length or 0
    limit = request.registry.upload_settings.max_fields_size
    if not length:
        return {}
    if kind == "multipart/form-data":
        return _read_multipart(request, None, _Nowhere, 0).fields
    if kind not in {"application/json", "application/x-www-form-urlencoded"}:
        raise UnsupportedMedia(
            f'Unsupported media type "{request.headers.get("Content-Type", "")}" in request.'
        )
    if length > limit:
        raise FieldsTooLarge(limit)
    body = _from_start(request).read(length)
    if kind == "application/json":
        return _read_json(body)
    try:
        return dict(
            parse_qsl(
                body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS
            )
        )
    except ValueError as error:
        raise Invalid(f"a form may have {MAX_FIELDS} fields at most") from error


def read_json(request: Any, limit: int) -> object:
    """The JSON value that the body is, whatever its type says; None without a body.

    Raises Invalid, and BodyTooLarge for more than `limit` bytes.
    """
    length = request.content_length or 0
    if length > limit:
        raise BodyTooLarge(limit)
    return _read_json(_from_start(request).read(length)) if length else None


def _from_start(request: Any) -> Any:
    """The body's file. A request that is tried again has been read before, and can be rewound."""
    if request.is_body_seekable:
        request.body_file_raw.seek(0)
    return request.body_file_raw


def _is_crowded(body: bytes) -> bool:
    """Whether a JSON text has more values than anybody needs."""
    if sum(map(body.count, (b"[", b"{", b","))) <= MAX_VALUES:
        return False
    marks = (found for found in _TEXT_OR_MARK.finditer(body) if body[found.start()] != ord('"'))
    return next(islice(marks, MAX_VALUES, None), None) is not None


def _read_json(body: bytes) -> object:
    if _is_crowded(body):
        raise Invalid(f"JSON parse error - more than {MAX_VALUES} values")

    def refuse(constant: str) -> object:
        raise ValueError(f"{constant} is not JSON")

    def number(text: str) -> float:
        # 2.0 is an integer, as JSON Schema has it and some languages write it.
        value = float(text)
        return int(value) if value.is_integer() else value

    try:
        value: object = json.loads(body.decode("utf-8"), parse_float=number, parse_constant=refuse)
        if _HALF.search(body):
            # It may spell half of a surrogate pair, which no database and no answer can hold.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise Invalid(f"JSON parse error - {reason}") from None
    return value


def read_form(request: Any, name: str, new_sink: Callable[[], SinkT], max_size: int) -> Form[SinkT]:
    """Parse a multipart body in one pass; the bytes of the file part `name` go to a new sink.

    A repeated field or file: the last one wins. Other files are skipped, and in any other notation
    there are none. Raises Invalid, UnsupportedMedia, having discarded the file.
    """
    if parse_options_header(request.content_type or "")[0] == "multipart/form-data":
        return _read_multipart(request, name, new_sink, max_size)
    read_fields(request)
    return Form()


def _read_multipart(
    request: Any, name: str | None, new_sink: Callable[[], SinkT], max_size: int
) -> Form[SinkT]:
    form: Form[SinkT] = Form()
    limits = request.registry.upload_settings
    overhead = limits.max_fields_size + MIB
    if name is not None and (request.content_length or 0) > max_size + overhead:
        raise FileTooLarge(max_size)
    try:
        _FormReader(form, name, new_sink, max_size, limits.max_fields_size).read(_events(request))
    except MultipartError as error:
        form.discard()
        # Its further arguments are texts of Python.
        raise Invalid(f"Multipart form parse error - {error.args[0]}") from None
    except BaseException:
        form.discard()
        raise
    return form


def _events(request: Any) -> Iterator[Any]:
    _, options = parse_options_header(request.headers.get("Content-Type", ""))
    parser = PushMultipartParser(
        options.get("boundary", ""),
        content_length=request.content_length or 0,
        max_segment_count=MAX_FIELDS,
        max_header_size=16 * 1024,
    )
    return parser.parse_blocking(_from_start(request).read, CHUNK)  # type: ignore[no-any-return]


class _Nowhere:
    """A sink for files that nobody asked for."""

    def write(self, data: bytes, /) -> object: ...

    def discard(self) -> None: ...


def _filename_of(part: Any) -> str | None:
    """What the sender calls a file; None: it is a field."""
    if part.filename is None and (
        found := _EXTENDED_FILENAME.search(part.header("Content-Disposition", ""))
    ):
        return unquote(found[1])
    filename: str | None = part.filename
    return filename


class _FormReader(Generic[SinkT]):
    """Puts the events of the multipart parser where they belong, and counts."""

    def __init__(
        self,
        form: Form[SinkT],
        name: str | None,
        new_sink: Callable[[], SinkT],
        max_size: int,
        max_fields: int,
    ) -> None:
        self._form, self._name, self._new_sink = form, name, new_sink
        self._max_size, self._max_fields = max_size, max_fields
        self._fields_size = 0

    def read(self, events: Iterator[Any]) -> None:
        """Read every part to its end."""
        for part in events:
            filename = _filename_of(part)
            if filename is None:
                self._form.fields[part.name] = self._read_text(part, events)
            elif part.name == self._name:
                self._form.discard()
                self._form.file, self._form.filename = self._new_sink(), filename
                self._copy(events, self._form.file)
            else:
                self._form.skipped.add(part.name)
                self._skip(events)

    def _read_text(self, part: Any, events: Iterator[Any]) -> str:
        pieces = []
        self._fields_size += len(part.name)
        while (chunk := next(events)) is not None:
            self._fields_size += len(chunk)
            if self._fields_size > self._max_fields:
                raise FieldsTooLarge(self._max_fields)
            pieces.append(bytes(chunk))
        return b"".join(pieces).decode("utf-8", "replace")

    def _copy(self, events: Iterator[Any], sink: SinkT) -> None:
        size = 0
        while (chunk := next(events)) is not None:
            size += len(chunk)
            if size > self._max_size:
                raise FileTooLarge(self._max_size)
            sink.write(chunk)

    @staticmethod
    def _skip(events: Iterator[Any]) -> None:
        while next(events) is not None:
            pass
