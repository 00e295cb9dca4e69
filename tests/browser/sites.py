"""The sites that are published: their files lie in `sites/`, but for those that code makes better."""

from pathlib import Path

from tests.support.archives import make_zip, page_zip
from tests.support.browser import WASM_SUM, png, truetype, wav

FOLDER = Path(__file__).with_name("sites")
ARCHIVE = make_zip({"a": "b"})

Files = dict[str, bytes]


def honest() -> Files:
    """A site that uses what browsers have to offer."""
    return {
        **_files("honest"),
        "img/dot.png": png(3, 2, (200, 100, 50)),
        "square.ttf": truetype(),
        "silence.wav": wav(30),
        "sum.wasm": WASM_SUM,
        "archive.zip": ARCHIVE,
    }


def hostile() -> Files:
    """A site that is after what its visitor may do at the hub."""
    return {**_files("hostile"), "planted.zip": page_zip("planted")}


def _files(name: str) -> Files:
    folder = FOLDER / name
    files: Files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return {**files, "report.js": (FOLDER / "report.js").read_bytes()}
