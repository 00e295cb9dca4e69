"""The sites that are published: their files lie in `sites/`, but for those that code makes better."""

import io
import wave
from pathlib import Path

from tests.support.archives import make_zip, page_zip

FOLDER = Path(__file__).with_name("sites")
ARCHIVE = make_zip({"a": "b"})

Files = dict[str, bytes]


def honest() -> Files:
    """A site that uses what browsers have to offer.

    Its font, `square.ttf`, has one letter, A, one and a half em wide; its `sum.wasm` exports `sum`, of
    two numbers of 32 bits.
    """
    return {**_files("honest"), "silence.wav": _silence(30), "archive.zip": ARCHIVE}


def hostile() -> Files:
    """A site that is after what its visitor may do at the hub."""
    return {**_files("hostile"), "planted.zip": page_zip("planted")}


def _silence(seconds: int) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setparams((1, 1, 8000, 0, "NONE", ""))
        sound.writeframes(b"\x80" * 8000 * seconds)
    return buffer.getvalue()


def _files(name: str) -> Files:
    folder = FOLDER / name
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
    return {**files, "report.js": (FOLDER / "report.js").read_bytes()}
