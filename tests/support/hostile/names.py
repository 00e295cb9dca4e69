"""Names: where they lead, what they hide, and what they come to elsewhere."""

from collections.abc import Mapping

from hubrepo.kernel.archives.records import UTF8
from tests.support.hostile.building import Part
from tests.support.hostile.cases import Cases, accepted, beside, case, refused

LEAVES, ABSOLUTE = "leaves the archive", "has an absolute name"
DOTS = "has an empty or a dot segment in its name"
SLASH = "has a backslash in its name"
NOT_UTF8 = "has a name that is not the UTF-8 it claims to be"
TOO_LONG = "has a name longer than the limit of 1024 bytes (hubrepo.archives.max_name)"
TOO_DEEP = "has a path longer than the limit of 64 segments (hubrepo.archives.max_depth)"
MOST = "x" * 255
LONGEST = "/".join([MOST[:200]] * 5)
MARK = "\u0301"
DEVICES = (
    "con=CON nul=nul aux.txt=Aux.txt prn.tar.gz=prn.tar.gz com1=COM1 com9.log=com9.log lpt1=LPT1 "
    "conin=CONIN$ a-nul-b=a/NUL/b com-superscript=com\u00b9 nul-colon=nul:"
)
SHOWN = f"'{'x' * 120}…'"


def named(name: str, content: bytes = b"x") -> Part:
    """A member whose name is told in UTF-8."""
    part = Part(name.encode(), b"" if name.endswith(("/", "\\")) else content)
    return part if name.isascii() else part.both(flags=UTF8)


def marked(name: bytes) -> Part:
    """A member whose name is told to be in UTF-8."""
    return Part(name, b"x").both(flags=UTF8)


# Refused by both, with the name in front of the reason.
BAD: Mapping[str, Mapping[str, str]] = {
    LEAVES: {
        "dotdot: A name that leads to the folder above.": "../x",
        "dotdot-far: A name that leads to a file of the system.": "../../../../../../etc/passwd",
        "dotdot-in-the-middle: A name that goes into a folder first, and leaves two.": "a/../../x",
        "dotdot-alone: The folder above itself.": "..",
        "dotdot-folder: An entry for the folder above.": "../",
    },
    "is no name": {"empty: No name at all.": ""},
    ABSOLUTE: {
        "absolute: A name from the root of the system.": "/etc/passwd",
        "root: The root of the system as a folder.": "/",
        "two-slashes: A share of another machine, with slashes.": "//host/share/x",
    },
    "names a drive": {
        "drive: A name on a drive of Windows.": "C:/x",
        "drive-relative: A name in the current folder of a drive.": "c:x",
        "drive-inside: A drive within a name: joined, it begins anew.": "a/D:/x",
    },
    "has a name of dots and blanks": {
        "blank-dotdot: Windows drops the blank, and goes up.": ".. /x",
        "blank-dot: Dots and blanks, which Windows drops.": "a/. ./x",
    },
    "has a control character in its name": {
        "nul: A NUL, at which some readers end the name.": "x\0.txt",
        "line-feed: A line feed.": "a\nb",
        "carriage-return: A carriage return, which hides what was before it.": "a\rb",
        "tab: A tab.": "a\tb",
        "escape: A sequence that clears a terminal.": "a\x1b[2Jb",
        "backspace: A backspace.": "ab\x08c",
        "delete: DEL.": "a\x7fb",
        "c1: A control sequence in one character of the second set.": "a\x9b2Jb",
        "next-line: NEL, a line end to some.": "a\x85b",
        "line-separator: The Unicode line separator.": "a\u2028b",
        "paragraph-separator: The Unicode paragraph separator.": "a\u2029b",
        "bidi-override: Text is shown from right to left: `exe.jpg`.": "gpj.\u202eexe",
        "bidi-embedding: A bidirectional embedding.": "a\u202ab",
        "bidi-isolate: A bidirectional isolate.": "a\u2066b\u2069",
    },
    "has more than 30 accents in a row": {
        "accents: More accents than a letter has: to normalise them takes long.": f"e{MARK * 31}",
        "accents-made-of-accents: Each of them is two accents in normal form.": "\u0f73" * 31,
        "accents-parted: What parts them is not shown, and some systems look past it.": (
            f"e{MARK * 20}\u034f{MARK * 20}\u034f"
        ),
    },
    "has the name of a device": {
        "device-blank: A device of Windows, with a blank that it drops.": "CON .txt",
        **{
            f"device-{key}: A device of Windows, wherever it is written to.": name
            for key, name in (pair.split("=") for pair in DEVICES.split())
        },
    },
}

# Refused by packages; pages take them for another name, as URLs do (none: for nothing to show).
RESOLVED: Mapping[str, Mapping[str, tuple[str, str]]] = {
    LEAVES: {
        "dotdot-inside: A name that leaves a folder, but not the archive.": ("a/../b", "b"),
        "dotdot-at-the-end: A folder's name that ends above itself.": ("a/b/../", ""),
    },
    DOTS: {
        "dot: A name that begins with the folder itself, as `tar` writes.": ("./x", "x"),
        "dot-inside: A dot segment within a name.": ("a/./b", "a/b"),
        "empty-segment: Two slashes in a row.": ("a//b", "a/b"),
    },
    SLASH: {
        "backslash: A backslash where a slash goes, as old programs write.": ("a\\b", "a/b"),
        "backslash-folder: A folder that ends in a backslash, and is a file for others.": (
            "a\\",
            "",
        ),
    },
}

# Refused by both, by packages for their backslash.
BACKSLASHES = {
    "unc: A share of another machine (UNC).": (r"\\host\share\x", f"'//host/share/x' {ABSOLUTE}"),
    "unc-long: The long form of a path of Windows.": (r"\\?\C:\x", f"'//?/C:/x' {ABSOLUTE}"),
    "unc-device: A device of Windows.": (
        r"\\.\PhysicalDrive0",
        f"'//./PhysicalDrive0' {ABSOLUTE}",
    ),
    "backslash-root: The root of a drive.": (r"\x", f"'/x' {ABSOLUTE}"),
    "backslash-dotdot: The folder above, for Windows only.": (r"..\x", f"'../x' {LEAVES}"),
    "backslash-mixed: Both slashes, to get past who looks for one.": (
        r"a/..\..\x",
        f"'a/../../x' {LEAVES}",
    ),
    "drive-backslash: A drive, with a backslash.": (r"C:\x", "'C:/x' names a drive"),
}

# Both take them as they are.
FINE = {
    "percent: A folder above that is percent-encoded: a name like others.": "%2e%2e/x",
    "percent-slash: An encoded slash: a name like others.": "..%2fx",
    "percent-backslash: Encoded backslashes: a name like others.": "..%5c..%5cx",
    "percent-twice: A name that is encoded twice: decoded once, or not at all.": "%252e%252e%252fx",
    "percent-nul: An encoded NUL: four harmless characters.": "x%00.txt",
    "fullwidth-dots: Dots of full width, which are no dots in normal form C.": "\uff0e\uff0e/x",
    "fullwidth-slash: A slash of full width.": "..\uff0fx",
    "division-slash: A slash that is none.": "..\u2215x",
    "dots: Three dots: a name.": "...",
    "dotdot-prefix: Two dots that begin a name.": "..x",
    "dotdot-suffix: Two dots that end a name.": "x..",
    "tilde: A folder that only shells take for a home.": "~/x",
    "dollar: A variable that nobody puts anything in place of.": "$HOME/x",
    "dash: A name that looks like an option.": "-rf",
    "hidden: A name that begins with a dot.": ".htaccess",
    "stream: A stream of a file on NTFS; programs put another character for the colon.": "x.txt:y",
    "wildcards: Characters that Windows has no names with: refused there, harmful nowhere.": "a*b?c",
    "quotes: Quotes.": "a'b\"c",
    "markup: Markup as a name.": "<script>alert(1)<x>",
    "query: A name that a URL must encode.": "x?y=1#z",
    "accents-some: As many accents as Unicode calls safe.": "e" + "\u0301\u0323" * 15,
    "zero-width: A blank of no width, on its own.": "zero\u200bwidth",
    "joiner: A joiner of no width, as Persian has it.": (
        "\u0646\u0627\u0645\u0647\u200c\u0647\u0627.txt"
    ),
    "right-to-left: Letters from right to left.": "\u05e9\u05dc\u05d5\u05dd.txt",
    "right-to-left-mark: A mark that changes no more than what is beside it.": "a\u200fb",
    "byte-order-mark: A byte-order mark.": "\ufeffx",
    "soft-hyphen: A hyphen that is not shown.": "soft\u00adhyphen",
    "no-break-space: A blank that is not ASCII.": "a\u00a0b",
    "emoji: Characters beyond 16 bits, joined.": "\U0001f469\u200d\U0001f4bb.png",
    "noncharacter: A code point that is no character.": "a\ufffeb",
    "private: A character of private use.": "a\ue000b",
    "dot-at-the-end: Windows drops the dot: harmless as long as there is no `x`.": "x.",
    "blank-at-the-end: Windows drops the blank.": "x ",
    "blank: A blank as a name.": " ",
    "semicolon: `unzip` drops what VMS has as a version.": "x;1",
    "short: A short name of Windows.": "PACKAG~1.TOM",
    "255-bytes: The longest name that file systems take.": MOST,
    "path-1024-bytes: The longest path that is allowed.": f"{LONGEST}/{'y' * 19}",
    "64-deep: The deepest path that is allowed.": "d/" * 63 + "x",
    **{
        f"no-device-{name}: Almost a device of Windows.": name
        for name in ("console", "com10", "null", "auxiliary.txt", "x.con")
    },
}

# What is wrong with them is not told as above. Overlong UTF-8 was how encoded slashes got past checks.
OTHERS = {
    f"{SHOWN} has a name of which a part is longer than 255 bytes": {
        "name-256-bytes: A name that no file system takes.": named("x" * 256),
        "name-1024-bytes: A path as long as allowed, its last part too long.": named(
            f"{MOST}/{MOST}/{MOST}/{'y' * 256}"
        ),
    },
    f"{SHOWN} {TOO_LONG}": {
        "name-path-1025-bytes: A path that is longer by one byte.": named(f"{LONGEST}/{'y' * 20}"),
        "name-65535-bytes: The longest name that the format can tell.": named("x" * 65_535),
    },
    f"'{chr(0x65E5) * 120}…' {TOO_LONG}": {
        "name-wide-characters: A short text that is long in UTF-8.": named("\u65e5" * 400),
    },
    f"'{'d/' * 60}…' {TOO_DEEP}": {
        "name-65-deep: A path that is deeper by one folder.": named("d/" * 64 + "x"),
        "name-500-deep: Folders within folders, to exhaust who walks them.": named(
            "d/" * 500 + "x"
        ),
    },
    rf"'..\\xc0\\xafx' {NOT_UTF8}": {
        "name-overlong-utf8: A slash in overlong UTF-8, told to be UTF-8.": marked(b"..\xc0\xafx"),
    },
    rf"'a\\xed\\xa0\\x80' {NOT_UTF8}": {
        "name-surrogate: Half of a surrogate pair in UTF-8.": marked(b"a\xed\xa0\x80"),
    },
    rf"'caf\\xe9' {NOT_UTF8}": {
        "name-broken-utf8: A name that is told to be UTF-8, and is not.": marked(b"caf\xe9"),
    },
}
UNMARKED = {
    "name-overlong-unmarked: A slash in overlong UTF-8, told to be code page 437.": (
        Part(b"..\xc0\xafx", b"x"),
        "..└»x",
    ),
    "name-cp437: A name in code page 437; it is served in UTF-8.": (Part(b"caf\x82", b"x"), "café"),
    "name-utf8-unmarked: A name in UTF-8 that is not told to be: it is what it looks like.": (
        Part("naïve".encode(), b"x")
    ),
}

# Two names of which each would do, and the other of which the second is refused as such.
TOGETHER: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "{1!r} is in the archive twice": {
        "twice: Two members of one name: which counts depends on the reader.": ("a", "a"),
        "folder-twice: A folder that is listed twice.": ("a/", "a/"),
    },
    "{1!r} differs from {0!r} only in case or normal form": {
        "case: One file on Windows and macOS.": ("README", "readme"),
        "case-folder: The same, in a folder.": ("D/x", "d/X"),
        "sharp-s: The same by the full rules of case.": ("straße", "STRASSE"),
        "kelvin: The sign of Kelvin, which is a k in small letters.": ("k", "\u212a"),
        "long-s: An old s.": ("s", "\u017f"),
        "normal-form: One name in two normal forms.": ("\xe9", "e\u0301"),
        "ligature: A ligature, which falls apart without case.": ("\ufb01x", "fix"),
    },
    "{1!r} is a name that some systems do not tell from {0!r}": {
        "zero-width: HFS+ looks past blanks of no width.": ("readme", "read\u200bme"),
        "joiner: The same with a joiner (CVE-2014-9390).": (".git", ".g\u200cit"),
        "variation: A heart, and a heart in colour.": ("\u2764", "\u2764\ufe0f"),
        "dot-at-the-end: Windows drops the dot.": ("a", "a."),
        "blank-at-the-end: Windows drops the blank.": ("a", "a "),
        "folder-dot: Windows drops the dot of a folder.": ("a/x", "a./x"),
        "semicolon: `unzip` drops the version.": ("a", "a;1"),
    },
    "{1!r} is in the archive twice, as a file and as a folder (see {0!r})": {
        "file-and-folder: A file, and a folder of its name.": ("a", "a/"),
        "folder-and-file: The same the other way round.": ("a/", "a"),
    },
    "{0!r} is a file, and also the folder of {1!r}": {
        "file-with-files: A file that has files in it.": ("a", "a/b"),
        "file-with-files-case: The same where case does not count.": ("A", "a/b"),
    },
    "{1!r} is a file, and also the folder of {0!r}": {
        "file-with-files-later: The same, deep, and the file last.": ("a/b/c/d", "a/b"),
    },
    "'PACKAGE.TOML' differs from 'package.toml' only in case or normal form": {
        "manifest-case: A second manifest in capitals.": ("x", "PACKAGE.TOML"),
    },
    "{1!r} " + DOTS: {"resolved-twice: Two names that URLs do not tell apart.": ("a", "./a")},
    "{1!r} " + SLASH: {"slashes-twice: One name with either slash.": ("a/b", "a\\b")},
}
# A page spells its names in normal form, and as URLs do, before it compares them.
TOGETHER_ON_PAGES = {
    "kelvin": "'K' differs from 'k' only in case or normal form",
    "normal-form": "'é' is in the archive twice",
    "resolved-twice": "'a' is in the archive twice",
    "slashes-twice": "'a/b' is in the archive twice",
}


def cases() -> Cases:
    """Yield all of them."""
    for reason, table in BAD.items():
        for title, name in table.items():
            why = f"{name!r} {reason}"
            yield case(f"name-{title}", named(name), why, why)
    for reason, rows in RESOLVED.items():
        for title, (name, page) in rows.items():
            part = named(name)
            shown = {page: part.content} if page else {}
            yield case(f"name-{title}", part, f"{name!r} {reason}", None, shown=shown)
    for title, (name, page) in BACKSLASHES.items():
        yield case(f"name-{title}", named(name), f"{name!r} {SLASH}", page)
    yield from accepted({f"name-{title}": named(name) for title, name in FINE.items()})
    yield from refused(OTHERS)
    yield from accepted(UNMARKED)
    for reason, rows in TOGETHER.items():
        for title, (first, second) in rows.items():
            why = reason.format(first, second)
            page = TOGETHER_ON_PAGES.get(title.partition(":")[0], why)
            archive = beside(named(first, b"0"), named(second, b"1"))
            yield case(f"names-{title}", archive, why, page)
