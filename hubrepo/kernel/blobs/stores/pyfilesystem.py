"""What we take from PyFilesystem2, imported once and quietly."""

import warnings

with warnings.catch_warnings():
    # fs declares its namespace through pkg_resources, which says at length that it is deprecated.
    warnings.simplefilter("ignore")
    from fs import errors
    from fs.base import FS
    from fs.enums import ResourceType
    from fs.info import Info
    from fs.memoryfs import MemoryFS
    from fs.mode import Mode
    from fs.opener import Opener, registry
    from fs.osfs import OSFS
    from fs.path import basename, dirname, join
    from fs.subfs import SubFS

__all__ = [
    "FS",
    "OSFS",
    "Info",
    "MemoryFS",
    "Mode",
    "Opener",
    "ResourceType",
    "SubFS",
    "basename",
    "dirname",
    "errors",
    "join",
    "registry",
]
