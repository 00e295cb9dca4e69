"""Strings by which strangers try to leave the folder that they were given, made by code: over 500.

Each is written as it stands in a URL. What a URL cannot hold, as in a field of a form, is decoded.
"""

from itertools import product
from urllib.parse import unquote_to_bytes

# One step upwards, spelled in the ways that some reader somewhere takes for it.
UP = (
    "..", "%2e%2e", ".%2e", "%2E.", "%252e%252e", "%25252e%25252e", "..%00", "..%09", "..%20", "%20..",
    "..;", "..;x=1", "...", "....", "..%c0%ae", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae", "%uff0e%uff0e",
    "%ef%bc%8e%ef%bc%8e", "%e2%80%a5", "%u002e%u002e", "%%32%65%%32%65", "..%ff", "..%0d%0a", "~", ".",
)  # fmt: skip
# What parts one step from the next.
SLASH = (
    "/", "%2f", "%2F", "%5c", "\\", "%252f", "%255c", "%c0%af", "%c1%9c", "%e0%80%af", "%ef%bc%8f",
    "%e2%88%95", "%u2215", "//", "/./", "%2f%2f", "\\/", "%00/", ";/",
)  # fmt: skip
# Where a path begins that is absolute, or no path at all.
ABSOLUTE = (
    "/etc/passwd", "%2fetc%2fpasswd", "//etc/passwd", "///etc/passwd", "%2f%2fetc/passwd",
    "\\etc\\passwd", "C:\\Windows\\win.ini", "C:/Windows/win.ini", "c:%5cwindows%5cwin.ini",
    "%5c%5c127.0.0.1%5cc$%5cboot.ini", "\\\\?\\C:\\boot.ini", "\\\\.\\PhysicalDrive0", "//127.0.0.1/share",
    "file:///etc/passwd", "file:%2f%2f/etc/passwd", "file://localhost/etc/passwd", "php://filter", "zip://x",
    "osfs:///etc", "osfs:%2f%2f%2fetc", "s3://bucket/key", "mem://", "sqlite:////etc/passwd", "data:,x",
    "http://127.0.0.1/", "/proc/self/environ", "%2fproc%2fself%2fenviron", "/dev/zero", "%2fdev%2fzero",
    "/proc/self/fd/0", "%2fproc%2fself%2fcwd", "~root", "~/.ssh/id_rsa", "$HOME", "${HOME}", "%24%7bHOME%7d",
    "%(here)s", "%25(here)s", "{0}", "{self}", "`id`", "$(id)", "|id", "a|b", "*", "?", "%3f", "%23", "[a]",
    "CON", "NUL", "aux.txt", "COM1", "con.", "x::$DATA", "x%3a%3a$DATA", "x:y", "x.", "x%20", "x%2e",
    "%00", "%00etc/passwd", "canary.txt%00", "canary.txt%00.zip", "a%00b", "%0a", "%0d",
    "%0d%0aSet-Cookie:%20x",
    "%7f", "%01", "%1b[0m", "%e2%80%ae", "%ef%bb%bf", "%ff", "%fe%ff", "%c3%28", "%ed%a0%80", "%f4%90%80%80",
    "%", "%2", "%zz", "%u0041", "%25", "%2525", ".", "..", "...", "%2e", "%2e%2e", "/", "//", "%2f", "%5c",
    ".stage", ".stage/", "%2estage", ".git/config", ".htaccess", ".env", "hub.ini", "hub.sqlite", "var",
    "blobs",
    "HISTORY.md", "package.toml", "pages.toml", "__init__", "__proto__", "@@", "@@x", "++etc++site", "-", "--",
    "null", "undefined", "NaN", "true", "-1", "0", "1e9", "0x1", "%d9%a1", "9" * 400, "a" * 5000, "%41" * 3000,
    "../" * 1000, "%2e%2e%2f" * 900, "a/" * 900, "./" * 900,
)  # fmt: skip


def _strings() -> list[str]:
    made = list(ABSOLUTE)
    for up, slash in product(UP, SLASH):
        made += [up + slash + "canary.txt", (up + slash) * 3 + "canary.txt"]
    for slash in SLASH:
        made += [
            f"..{slash}blobs-secret{slash}canary.txt",
            f"x{slash}..{slash}..{slash}canary.txt",
            f"docs{slash}..{slash}..{slash}..{slash}canary.txt",
            f"..{slash}" * 8 + f"etc{slash}passwd",
        ]
    return list(dict.fromkeys(made))


STRINGS = tuple(_strings())


def decoded(string: str) -> str:
    """As it stands in a field of a form, or in a name within an archive."""
    return unquote_to_bytes(string).decode("utf-8", "replace")
