"""Files that are there for good once they are there."""

import os
from pathlib import Path


def write_durably(path: Path, fresh: str, data: bytes) -> None:
    """Replace the file at `path` by one that holds `data`; until then it is called `fresh`."""
    new = path.with_name(fresh)
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """See to it that the names in a folder outlast a power failure."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
