"""Bodies that are cut, endless, nested, doubled or mistaken, with the status of each.

They are sent as versions of a package whose head they mistake, so what can be understood is 409: nothing
is ever published.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.archives import make_zip, package_zip

JSON, TEXT = "application/json", "application/x-www-form-urlencoded"
FORM = "multipart/form-data; boundary=frontier"
ARCHIVE = package_zip("widget")
# A million times what it is packed in.
BOMB = make_zip({"package.toml": "x", "zeros": bytes(8 * 1024 * 1024)})

# To bring them into normal form takes minutes.
MARKS = "x" + "\u0301\u0323" * 200_000


@dataclass(frozen=True)
class Body:
    """What is sent as what, and how it is answered."""

    name: str
    content_type: str
    data: bytes
    status: int


def part(headers: str, content: bytes = b"x") -> bytes:
    """One part with these header lines."""
    return b"--frontier\r\n" + headers.encode() + b"\r\n\r\n" + content + b"\r\n"


def text(name: str, content: bytes = b"x") -> bytes:
    """A text field."""
    return part(f'Content-Disposition: form-data; name="{name}"', content)


FILE = part('Content-Disposition: form-data; name="file"; filename="x.zip"', ARCHIVE)
STALE = text("parent_version", b"999999")
END = b"--frontier--\r\n"
WHOLE = FILE + STALE + END


def _forms() -> Iterator[Body]:
    for name, data, status in (
        ("whole", WHOLE, 409),
        ("nothing", b"", 400),
        ("only-an-end", END, 400),
        ("no-end", FILE + STALE, 400),
        ("half-an-end", FILE + STALE + b"--frontier-", 400),
        ("cut-in-the-file", WHOLE[: len(FILE) // 2], 400),
        ("cut-in-a-header", WHOLE[:40], 400),
        ("cut-in-a-boundary", WHOLE[:5], 400),
        ("preamble", b"to whom it may concern\r\n" + WHOLE, 409),
        ("preamble-without-a-line", b"x" + WHOLE, 400),
        ("preamble-of-a-megabyte", b"x" * 1_000_000 + b"\r\n" + WHOLE, 409),
        ("epilogue", WHOLE + b"x" * 100_000, 409),
        ("a-part-behind-the-end", WHOLE + text("parent_version", b"0") + END, 409),
        ("lines-in-lf", WHOLE.replace(b"\r\n", b"\n"), 400),
        ("lines-in-cr", WHOLE.replace(b"\r\n", b"\r"), 400),
        ("boundary-in-capitals", WHOLE.replace(b"frontier", b"FRONTIER"), 400),
        ("boundary-with-more", WHOLE.replace(b"--frontier", b"--frontiers"), 400),
        ("boundary-with-a-space", WHOLE.replace(b"--frontier\r", b"--frontier \r"), 400),
        ("boundary-within-the-file", FILE.replace(b"PK", b"PK\r\n--frontier\r\n", 1) + STALE + END, 400),
        ("no-file", STALE + END, 400),
        ("file-as-text", text("file") + STALE + END, 400),
        ("file-under-another-name", FILE.replace(b'"file"', b'"files"') + STALE + END, 400),
        ("file-without-content", FILE.replace(ARCHIVE, b"") + STALE + END, 400),
        ("file-twice", FILE + FILE + STALE + END, 409),
        ("file-two-hundred-times", FILE * 200 + STALE + END, 409),
        ("file-that-is-a-bomb", FILE.replace(ARCHIVE, BOMB) + STALE + END, 400),
        ("field-twice", FILE + text("parent_version", b"0") + STALE + END, 409),
        ("field-nine-hundred-times", FILE + STALE * 900 + END, 409),
        ("two-thousand-fields", FILE + b"".join(text(f"f{n}") for n in range(2000)) + END, 400),
        ("a-field-of-three-megabytes", FILE + text("description", b"x" * 3_000_000) + END, 400),
        ("a-name-of-fifteen-kilobytes", text("n" * 15_000) + FILE + STALE + END, 409),
        ("a-header-of-twenty-kilobytes", part("X: " + "y" * 20_000) + END, 400),
        ("a-header-of-a-megabyte", part("X: " + "y" * 1_000_000) + END, 400),
        ("nine-headers", part("\r\n".join(f"X{n}: y" for n in range(9))) + END, 400),
        ("a-header-without-a-colon", part("nothing") + END, 400),
        ("no-disposition", part("Content-Type: text/plain") + END, 400),
        ("disposition-attachment", part("Content-Disposition: attachment; name=x") + END, 400),
        ("disposition-without-a-name", part("Content-Disposition: form-data") + END, 400),
        ("a-nested-form",
            part('Content-Disposition: form-data; name="file"\r\nContent-Type: multipart/mixed; boundary=inner',
                 b"--inner\r\n\r\nx\r\n--inner--") + END, 400),
        ("a-part-in-base64",
            part('Content-Disposition: form-data; name="summary"\r\nContent-Transfer-Encoding: base64', b"eA==")
            + FILE + STALE + END, 409),
        ("a-part-that-lies-about-its-length",
            part('Content-Disposition: form-data; name="summary"\r\nContent-Length: 999999', b"x")
            + FILE + STALE + END, 400),
        ("nul-in-a-field", FILE + text("summary", b"\0") + STALE + END, 400),
        ("no-text-in-a-field", FILE + text("summary", b"\xff\xfe") + STALE + END, 409),
        ("a-head-of-another-type", FILE + text("parent_version", b"{}") + END, 400),
        ("a-head-below-nothing", FILE + text("parent_version", b"-1") + END, 409),
        ("marks-in-a-fork", FILE + text("forked_from", MARKS.encode() + b"@1") + STALE + END, 400),
        ("marks-in-a-manifest", FILE.replace(ARCHIVE, package_zip(MARKS[:99_999])) + STALE + END, 400),
        ("a-head-of-five-thousand-digits", FILE + text("parent_version", b"9" * 5000) + END, 400),
    ):  # fmt: skip
        yield Body(f"form-{name}", FORM, data, status)


def _types() -> Iterator[Body]:
    for name, content_type, status in (
        ("no-boundary", "multipart/form-data", 400),
        ("empty-boundary", "multipart/form-data; boundary=", 400),
        ("boundary-in-an-open-quote", 'multipart/form-data; boundary="', 400),
        ("boundary-in-quotes", 'multipart/form-data; boundary="frontier"', 409),
        ("boundary-twice", "multipart/form-data; boundary=frontier; boundary=x", 400),
        ("boundary-in-pieces", "multipart/form-data; boundary*0=fron; boundary*1=tier", 400),
        ("boundary-of-five-kilobytes", "multipart/form-data; boundary=" + "x" * 5000, 400),
        ("boundary-of-another", "multipart/form-data; boundary=front", 400),
        ("mixed", "multipart/mixed; boundary=frontier", 415),
        ("related", "multipart/related; boundary=frontier", 415),
        ("octets", "application/octet-stream", 415),
        ("zip", "application/zip", 415),
        ("nonsense", ";;;=", 415),
        ("two-types", "multipart/form-data, application/json; boundary=frontier", 415),
        ("capitals", "MULTIPART/FORM-DATA; BOUNDARY=frontier", 409),
    ):
        yield Body(f"type-{name}", content_type, WHOLE, status)


def _values() -> Iterator[Body]:
    """JSON has no file: what can be understood lacks one."""
    many = 100_000
    for name, data in (
        ("empty-object", b"{}"),
        ("array", b"[]"),
        ("text", b'"x"'),
        ("number", b"1"),
        ("null", b"null"),
        ("cut", b'{"summary": "x'),
        ("two-values", b"{}{}"),
        ("garbage-behind", b"{} x"),
        ("comment", b"{/* */}"),
        ("single-quotes", b"{'a': 1}"),
        ("comma-behind", b'{"a": 1,}'),
        ("doubled-name", b'{"summary": "x", "summary": {}}'),
        ("nan", b'{"parent_version": NaN}'),
        ("infinity", b'{"parent_version": -Infinity}'),
        ("huge-exponent", b'{"parent_version": 1e999999}'),
        ("five-thousand-digits", b'{"parent_version": ' + b"9" * 5000 + b"}"),
        ("half-a-surrogate", b'{"summary": "\\ud800"}'),
        ("nul", b'{"summary": "\\u0000"}'),
        ("no-utf-8", b'{"summary": "\xff"}'),
        ("utf-16", '{"summary": "x"}'.encode("utf-16")),
        ("byte-order-mark", b"\xef\xbb\xbf{}"),
        ("deep-arrays", b"[" * many + b"]" * many),
        ("deep-objects", b'{"a":' * many + b"1" + b"}" * many),
        ("endless-depth", b"[" * 2_000_000),
        ("many-arrays", b"[" + b"[]," * 800_000 + b"[]]"),
        ("many-objects", b"[" + b'{"a":0},' * 320_000 + b"{}]"),
        ("many-names", ("{" + ",".join(f'"{n}":0' for n in range(200_000)) + "}").encode()),
        ("many-numbers", b"[" + b"1," * 1_200_000 + b"1]"),
        ("many-escapes", b'{"summary": "' + b"\\u0041" * 400_000 + b'"}'),
        ("many-quotes-without-an-end", b"," * 20_000 + b'"' + b'\\"' * 1_200_000),
        ("marks", json.dumps({"name": MARKS}, ensure_ascii=False).encode()),
        ("three-megabytes", b'{"summary": "' + b"x" * 3_000_000 + b'"}'),
    ):
        yield Body(f"json-{name}", JSON, data, 400)
    for wrong in (None, True, 7, 1.5, [], {}, [["x"]], {"x": []}):
        for field in ("file", "summary", "parent_version", "forked_from", "author"):
            data = json.dumps({field: wrong}).encode()
            yield Body(f"json-{field}-is-{wrong}", JSON, data, 400)


def _texts() -> Iterator[Body]:
    for name, data in (
        ("nothing", b""),
        ("no-pairs", b"&&&==&"),
        ("two-thousand-pairs", b"&".join(b"f%d=x" % n for n in range(2000))),
        ("a-million-separators", b"&" * 1_000_000),
        ("no-text", b"summary=%ff%fe&%00=%00"),
        ("broken-escapes", b"summary=%&%z=%1"),
        ("three-megabytes", b"summary=" + b"x" * 3_000_000),
        ("doubled", b"parent_version=1&parent_version=x"),
    ):
        yield Body(f"text-{name}", TEXT, data, 400)


BODIES = (*_forms(), *_types(), *_values(), *_texts())
