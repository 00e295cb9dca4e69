"""A file's type follows from the end of its name, on every machine alike."""

import mimetypes

from hubrepo.kernel.serving.content_types import CONTENT_TYPES, content_type_of, is_text

# `hub.md`, section 11; `.gz` as D25 has it.
CONTRACT = """
text/html html htm, text/css css, text/javascript js mjs, application/json json, text/plain txt,
text/markdown md, image/svg+xml svg, image/png png, image/jpeg jpg jpeg, image/gif gif, image/webp webp,
image/vnd.microsoft.icon ico, application/pdf pdf, application/wasm wasm, application/xml xml,
font/woff2 woff2, video/mp4 mp4, application/manifest+json webmanifest, application/gzip gz
"""


def test_the_types_of_the_contract():
    for kind, *endings in map(str.split, CONTRACT.split(",")):
        for ending in endings:
            assert (
                content_type_of(f"a/b.{ending}") == content_type_of(f"a/b.{ending.upper()}") == kind
            )


def test_only_the_last_ending_of_the_last_segment_counts():
    known = {"x.html.gz": "application/gzip", "x.gz.html": "text/html", ".html": "text/html"}
    for name, kind in known.items():
        assert content_type_of(name) == kind
    for name in ("index", "html", "folder.html/file", "x.html.", "x.html ", "x.unknown", "x.exe"):
        assert content_type_of(name) == "application/octet-stream"


def test_the_machine_is_not_asked(monkeypatch):
    monkeypatch.setattr(mimetypes, "guess_type", lambda *_: ("text/evil", None))
    monkeypatch.setitem(mimetypes.types_map, ".html", "text/evil")
    assert content_type_of("x.html") == "text/html"


def test_every_entry_of_the_table_can_be_found_and_sent_and_only_text_has_an_encoding():
    for ending, kind in CONTENT_TYPES.items():
        assert ending == ending.lower()
        assert kind.isascii()
        assert kind.count("/") == 1
        assert " " not in kind
    texts = {kind for kind in CONTENT_TYPES.values() if is_text(kind)}
    assert {"text/html", "text/css", "text/javascript", "text/plain"} <= texts
    assert not texts & {"application/json", "image/svg+xml", "application/xml"}
