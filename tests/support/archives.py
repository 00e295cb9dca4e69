"""Archives to upload."""

import io
import zipfile
from collections.abc import Mapping


def make_zip(members: Mapping[str, str | bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP with these members, in this order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def manifest(name: str, author: str | None = "ann") -> str:
    """A `package.toml`."""
    lines = [
        "[package]",
        f'name = "{name}"',
        *([f'author = "{author}"'] if author is not None else []),
    ]
    return "\n".join(lines) + "\n"


def package_zip(name: str, author: str | None = "ann", **files: str | bytes) -> bytes:
    """A package archive: its manifest, then `files` (a file called `readme` if there are none)."""
    return make_zip(
        {"package.toml": manifest(name, author), **(files or {"readme": f"about {name}\n"})}
    )


def page_zip(path: str | None, files: Mapping[str, str | bytes] | None = None) -> bytes:
    """The archive of a page: its manifest unless `path` is None, then `files` (an index if None)."""
    publish = {} if path is None else {"pages.toml": f'[publish]\npath = "{path}"\n'}
    return make_zip(
        {**publish, **({"index.html": f"<h1>{path}</h1>\n"} if files is None else files)}
    )


def read_zip(data: bytes) -> dict[str, bytes]:
    """The members of a ZIP, checked, in their order."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {info.filename: archive.read(info) for info in archive.infolist()}
