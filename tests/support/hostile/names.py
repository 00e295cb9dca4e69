"""Names: where they lead, what they hide, and what they come to elsewhere."""

from hubrepo.kernel.archives.records import UTF8
from tests.support.hostile.building import Part
from tests.support.hostile.cases import Case, Cases, accepted, beside, built, refused

LONG = "(hubrepo.archives.max_name)"
DEEP = "(hubrepo.archives.max_depth)"


def named(name: str, content: bytes = b"x") -> Part:
    """A member whose name is told in UTF-8."""
    part = Part(name.encode(), b"" if name.endswith("/") else content)
    return part if name.isascii() else part.both(flags=UTF8)


def bad(key: str, name: str, why: str, about: str) -> Case:
    """A name that neither takes."""
    return refused(f"name-{key}", about, beside(named(name)), f"{name!r} {why}")


def resolved(key: str, name: str, why: str, page: str, about: str) -> Case:
    """A name that packages refuse, and pages take for `page`, as URLs do."""
    content = b"" if name.endswith(("/", "\\")) else b"x"
    part = named(name, content)
    shown = ((page, content),) if page else ()
    return Case(f"name-{key}", about, built(beside(part)), f"{name!r} {why}", None, (), shown)


def differently(key: str, name: str, why: str, page: str, about: str) -> Case:
    """A name that both refuse, with a reason each."""
    return refused(f"name-{key}", about, beside(named(name)), f"{name!r} {why}", page)


def fine(key: str, name: str, about: str) -> Case:
    """A name that both take as it is."""
    return accepted(f"name-{key}", about, beside(named(name)), (name, b"x"))


def _traversal() -> Cases:
    leaves, absolute, dots = (
        "leaves the archive",
        "has an absolute name",
        "has an empty or a dot segment in its name",
    )
    slash = "has a backslash in its name"
    yield bad("dotdot", "../x", leaves, "A name that leads to the folder above.")
    yield bad(
        "dotdot-far",
        "../../../../../../etc/passwd",
        leaves,
        "A name that leads to a file of the system.",
    )
    yield bad(
        "dotdot-in-the-middle",
        "a/../../x",
        leaves,
        "A name that goes into a folder first, and leaves two.",
    )
    yield resolved(
        "dotdot-inside", "a/../b", leaves, "b", "A name that leaves a folder, but not the archive."
    )
    yield resolved(
        "dotdot-at-the-end", "a/b/../", leaves, "", "A folder's name that ends above itself."
    )
    yield bad("dotdot-alone", "..", leaves, "The folder above itself.")
    yield bad("dotdot-folder", "../", leaves, "An entry for the folder above.")
    yield resolved(
        "dot", "./x", dots, "x", "A name that begins with the folder itself, as `tar` writes."
    )
    yield resolved("dot-inside", "a/./b", dots, "a/b", "A dot segment within a name.")
    yield resolved("empty-segment", "a//b", dots, "a/b", "Two slashes in a row.")
    yield differently(
        "empty",
        "",
        "is no name",
        "'' is no name",
        "No name at all.",
    )
    yield bad("absolute", "/etc/passwd", absolute, "A name from the root of the system.")
    yield bad("root", "/", absolute, "The root of the system as a folder.")
    yield bad(
        "two-slashes", "//host/share/x", absolute, "A share of another machine, with slashes."
    )
    yield differently(
        "unc",
        "\\\\host\\share\\x",
        slash,
        "'//host/share/x' has an absolute name",
        "A share of another machine (UNC).",
    )
    yield differently(
        "unc-long",
        "\\\\?\\C:\\x",
        slash,
        "'//?/C:/x' has an absolute name",
        "The long form of a path of Windows.",
    )
    yield differently(
        "unc-device",
        "\\\\.\\PhysicalDrive0",
        slash,
        "'//./PhysicalDrive0' has an absolute name",
        "A device of Windows.",
    )
    yield differently(
        "backslash-root", "\\x", slash, "'/x' has an absolute name", "The root of a drive."
    )
    yield differently(
        "backslash-dotdot",
        "..\\x",
        slash,
        "'../x' leaves the archive",
        "The folder above, for Windows only.",
    )
    yield differently(
        "backslash-mixed",
        "a/..\\..\\x",
        slash,
        "'a/../../x' leaves the archive",
        "Both slashes, to get past who looks for one.",
    )
    yield resolved(
        "backslash", "a\\b", slash, "a/b", "A backslash where a slash goes, as old programs write."
    )
    yield resolved(
        "backslash-folder",
        "a\\",
        slash,
        "",
        "A folder that ends in a backslash, and is a file for others.",
    )
    yield bad("drive", "C:/x", "names a drive", "A name on a drive of Windows.")
    yield bad("drive-relative", "c:x", "names a drive", "A name in the current folder of a drive.")
    yield bad(
        "drive-inside", "a/D:/x", "names a drive", "A drive within a name: joined, it begins anew."
    )
    yield differently(
        "drive-backslash", "C:\\x", slash, "'C:/x' names a drive", "A drive, with a backslash."
    )
    yield bad(
        "blank-dotdot",
        ".. /x",
        "has a name of dots and blanks",
        "Windows drops the blank, and goes up.",
    )
    yield bad(
        "blank-dot",
        "a/. ./x",
        "has a name of dots and blanks",
        "Dots and blanks, which Windows drops.",
    )
    yield fine("percent", "%2e%2e/x", "A folder above that is percent-encoded: a name like others.")
    yield fine("percent-slash", "..%2fx", "An encoded slash: a name like others.")
    yield fine("percent-backslash", "..%5c..%5cx", "Encoded backslashes: a name like others.")
    yield fine(
        "percent-twice",
        "%252e%252e%252fx",
        "A name that is encoded twice: decoded once, or not at all.",
    )
    yield fine("percent-nul", "x%00.txt", "An encoded NUL: four harmless characters.")
    yield fine(
        "fullwidth-dots",
        "\uff0e\uff0e/x",
        "Dots of full width, which are no dots in normal form C.",
    )
    yield fine("fullwidth-slash", "..\uff0fx", "A slash of full width.")
    yield fine("division-slash", "..\u2215x", "A slash that is none.")
    yield fine("dots", "...", "Three dots: a name.")
    yield fine("dotdot-prefix", "..x", "Two dots that begin a name.")
    yield fine("dotdot-suffix", "x..", "Two dots that end a name.")
    yield fine("tilde", "~/x", "A folder that only shells take for a home.")
    yield fine("dollar", "$HOME/x", "A variable that nobody puts anything in place of.")
    yield fine("dash", "-rf", "A name that looks like an option.")
    yield fine("hidden", ".htaccess", "A name that begins with a dot.")
    yield fine(
        "stream",
        "x.txt:y",
        "A stream of a file on NTFS; programs put another character for the colon.",
    )
    yield fine(
        "wildcards",
        "a*b?c",
        "Characters that Windows has no names with: refused there, harmful nowhere.",
    )
    yield fine("quotes", "a'b\"c", "Quotes.")
    yield fine("markup", "<script>alert(1)<x>", "Markup as a name.")
    yield fine("query", "x?y=1#z", "A name that a URL must encode.")
    # Overlong UTF-8 was how encoded slashes got past checks: it is no UTF-8 to whom it is told.
    overlong = b"..\xc0\xafx"
    yield refused(
        "name-overlong-utf8",
        "A slash in overlong UTF-8, told to be UTF-8.",
        beside(Part(overlong, b"x").both(flags=UTF8)),
        r"'..\\xc0\\xafx' has a name that is not the UTF-8 it claims to be",
    )
    yield accepted(
        "name-overlong-unmarked",
        "The same, not told to be UTF-8: code page 437.",
        beside(Part(overlong, b"x")),
        ("..└»x", b"x"),
    )


def _unseen() -> Cases:
    control = "has a control character in its name"
    yield bad("nul", "x\0.txt", control, "A NUL, at which some readers end the name.")
    yield bad("line-feed", "a\nb", control, "A line feed.")
    yield bad(
        "carriage-return", "a\rb", control, "A carriage return, which hides what was before it."
    )
    yield bad("tab", "a\tb", control, "A tab.")
    yield bad("escape", "a\x1b[2Jb", control, "A sequence that clears a terminal.")
    yield bad("backspace", "ab\x08c", control, "A backspace.")
    yield bad("delete", "a\x7fb", control, "DEL.")
    yield bad("c1", "a\x9b2Jb", control, "A control sequence in one character of the second set.")
    yield bad("next-line", "a\x85b", control, "NEL, a line end to some.")
    yield bad("line-separator", "a\u2028b", control, "The Unicode line separator.")
    yield bad("paragraph-separator", "a\u2029b", control, "The Unicode paragraph separator.")
    yield bad(
        "bidi-override", "gpj.\u202eexe", control, "Text is shown from right to left: `exe.jpg`."
    )
    yield bad("bidi-embedding", "a\u202ab", control, "A bidirectional embedding.")
    yield bad("bidi-isolate", "a\u2066b\u2069", control, "A bidirectional isolate.")
    yield bad(
        "accents",
        "e" + "\u0301" * 31,
        "has more than 30 accents in a row",
        "More accents than a letter has: to normalise them takes long.",
    )
    yield bad(
        "accents-made-of-accents",
        "\u0f73" * 31,
        "has more than 30 accents in a row",
        "Each of them is two accents in normal form.",
    )
    yield bad(
        "accents-parted",
        "e" + ("\u0301" * 20 + "\u034f") * 2,
        "has more than 30 accents in a row",
        "What parts them is not shown, and some systems look past it.",
    )
    yield fine("accents-some", "e" + "\u0301\u0323" * 15, "As many accents as Unicode calls safe.")
    yield fine("zero-width", "zero\u200bwidth", "A blank of no width, on its own.")
    yield fine(
        "joiner",
        "\u0646\u0627\u0645\u0647\u200c\u0647\u0627.txt",
        "A joiner of no width, as Persian has it.",
    )
    yield fine("right-to-left", "\u05e9\u05dc\u05d5\u05dd.txt", "Letters from right to left.")
    yield fine(
        "right-to-left-mark", "a\u200fb", "A mark that changes no more than what is beside it."
    )
    yield fine("byte-order-mark", "\ufeffx", "A byte-order mark.")
    yield fine("soft-hyphen", "soft\u00adhyphen", "A hyphen that is not shown.")
    yield fine("no-break-space", "a\u00a0b", "A blank that is not ASCII.")
    yield fine("emoji", "\U0001f469\u200d\U0001f4bb.png", "Characters beyond 16 bits, joined.")
    yield fine("noncharacter", "a\ufffeb", "A code point that is no character.")
    yield fine("private", "a\ue000b", "A character of private use.")
    yield refused(
        "name-surrogate",
        "Half of a surrogate pair in UTF-8.",
        beside(Part(b"a\xed\xa0\x80", b"x").both(flags=UTF8)),
        r"'a\\xed\\xa0\\x80' has a name that is not the UTF-8 it claims to be",
    )
    yield refused(
        "name-broken-utf8",
        "A name that is told to be UTF-8, and is not.",
        beside(Part(b"caf\xe9", b"x").both(flags=UTF8)),
        r"'caf\\xe9' has a name that is not the UTF-8 it claims to be",
    )
    yield accepted(
        "name-cp437",
        "A name in code page 437; it is served in UTF-8.",
        beside(Part(b"caf\x82", b"x")),
        ("café", b"x"),
    )
    yield accepted(
        "name-utf8-unmarked",
        "A name in UTF-8 that is not told to be: it is what it looks like.",
        beside(Part("naïve".encode(), b"x")),
        ("naïve", b"x"),
    )


def _elsewhere() -> Cases:
    device = "has the name of a device"
    for name in (
        "CON",
        "nul",
        "Aux.txt",
        "prn.tar.gz",
        "COM1",
        "com9.log",
        "LPT1",
        "CONIN$",
        "a/NUL/b",
        "com\u00b9",
        "nul:",
    ):
        id_ = (
            name.lower()
            .replace("/", "-")
            .replace("\u00b9", "-superscript")
            .replace("$", "")
            .replace(":", "-colon")
        )
        yield bad(f"device-{id_}", name, device, "A device of Windows, wherever it is written to.")
    yield bad(
        "device-blank", "CON .txt", device, "A device of Windows, with a blank that it drops."
    )
    for name in ("console", "com10", "null", "auxiliary.txt", "x.con"):
        yield fine(f"no-device-{name}", name, "Almost a device of Windows.")
    yield fine(
        "dot-at-the-end", "x.", "Windows drops the dot: harmless as long as there is no `x`."
    )
    yield fine("blank-at-the-end", "x ", "Windows drops the blank.")
    yield fine("blank", " ", "A blank as a name.")
    yield fine("semicolon", "x;1", "`unzip` drops what VMS has as a version.")
    yield fine("short", "PACKAG~1.TOM", "A short name of Windows.")


def _long() -> Cases:
    most = "x" * 255
    yield fine("255-bytes", most, "The longest name that file systems take.")
    yield refused(
        "name-256-bytes",
        "A name that no file system takes.",
        beside(named("x" * 256)),
        f"'{'x' * 120}…' has a name of which a part is longer than 255 bytes",
    )
    path = "/".join([most, most, most, "y" * 256])
    yield refused(
        "name-1024-bytes",
        "A path as long as allowed, its last part too long.",
        beside(named(path)),
        f"'{'x' * 120}…' has a name of which a part is longer than 255 bytes",
    )
    yield fine(
        "path-1024-bytes",
        "/".join([most[:200]] * 5) + "/" + "y" * 19,
        "The longest path that is allowed.",
    )
    yield refused(
        "name-path-1025-bytes",
        "A path that is longer by one byte.",
        beside(named("/".join([most[:200]] * 5) + "/" + "y" * 20)),
        f"'{'x' * 120}…' has a name longer than the limit of 1024 bytes {LONG}",
    )
    yield refused(
        "name-65535-bytes",
        "The longest name that the format can tell.",
        beside(named("x" * 65_535)),
        f"'{'x' * 120}…' has a name longer than the limit of 1024 bytes {LONG}",
    )
    yield refused(
        "name-wide-characters",
        "A short text that is long in UTF-8.",
        beside(named("\u65e5" * 400)),
        f"'{chr(0x65E5) * 120}…' has a name longer than the limit of 1024 bytes {LONG}",
    )
    yield fine("64-deep", "d/" * 63 + "x", "The deepest path that is allowed.")
    yield refused(
        "name-65-deep",
        "A path that is deeper by one folder.",
        beside(named("d/" * 64 + "x")),
        f"'{'d/' * 60}…' has a path longer than the limit of 64 segments {DEEP}",
    )
    yield refused(
        "name-500-deep",
        "Folders within folders, to exhaust who walks them.",
        beside(named("d/" * 500 + "x")),
        f"'{'d/' * 60}…' has a path longer than the limit of 64 segments {DEEP}",
    )


def together(  # a page spells its names in normal form first
    key: str,
    names: tuple[str, str],
    why: str,
    about: str,
    page: str | None = None,
) -> Case:
    """Two names of which each would do."""
    first, second = (named(name, f"{number}".encode()) for number, name in enumerate(names))
    return refused(f"names-{key}", about, beside(first, second), why, page)


def _together() -> Cases:
    case = "only in case or normal form"
    same = "is a name that some systems do not tell from"
    yield together(
        "twice",
        ("a", "a"),
        "'a' is in the archive twice",
        "Two members of one name: which counts depends on the reader.",
    )
    yield together(
        "folder-twice",
        ("a/", "a/"),
        "'a/' is in the archive twice",
        "A folder that is listed twice.",
    )
    yield together(
        "manifest-case",
        ("x", "PACKAGE.TOML"),
        "'PACKAGE.TOML' differs from 'package.toml' only in case or normal form",
        "A second manifest in capitals.",
    )
    yield together(
        "case",
        ("README", "readme"),
        f"'readme' differs from 'README' {case}",
        "One file on Windows and macOS.",
    )
    yield together(
        "case-folder", ("D/x", "d/X"), f"'d/X' differs from 'D/x' {case}", "The same, in a folder."
    )
    yield together(
        "sharp-s",
        ("straße", "STRASSE"),
        f"'STRASSE' differs from 'straße' {case}",
        "The same by the full rules of case.",
    )
    yield together(
        "kelvin",
        ("k", "\u212a"),
        f"'\u212a' differs from 'k' {case}",
        "The sign of Kelvin, which is a k in small letters.",
        f"'K' differs from 'k' {case}",
    )
    yield together("long-s", ("s", "\u017f"), f"'\u017f' differs from 's' {case}", "An old s.")
    yield together(
        "normal-form",
        ("\xe9", "e\u0301"),
        "'e\u0301' differs from 'é' only in case or normal form",
        "One name in two normal forms.",
        "'é' is in the archive twice",
    )
    yield together(
        "ligature",
        ("\ufb01x", "fix"),
        f"'fix' differs from '\ufb01x' {case}",
        "A ligature, which falls apart without case.",
    )
    yield together(
        "zero-width",
        ("readme", "read\u200bme"),
        f"'read\\u200bme' {same} 'readme'",
        "HFS+ looks past blanks of no width.",
    )
    yield together(
        "joiner",
        (".git", ".g\u200cit"),
        f"'.g\\u200cit' {same} '.git'",
        "The same with a joiner (CVE-2014-9390).",
    )
    yield together(
        "variation",
        ("\u2764", "\u2764\ufe0f"),
        f"'\u2764\ufe0f' {same} '\u2764'",
        "A heart, and a heart in colour.",
    )
    yield together("dot-at-the-end", ("a", "a."), f"'a.' {same} 'a'", "Windows drops the dot.")
    yield together("blank-at-the-end", ("a", "a "), f"'a ' {same} 'a'", "Windows drops the blank.")
    yield together(
        "folder-dot", ("a/x", "a./x"), f"'a./x' {same} 'a/x'", "Windows drops the dot of a folder."
    )
    yield together("semicolon", ("a", "a;1"), f"'a;1' {same} 'a'", "`unzip` drops the version.")
    yield together(
        "file-and-folder",
        ("a", "a/"),
        "'a/' is in the archive twice, as a file and as a folder (see 'a')",
        "A file, and a folder of its name.",
    )
    yield together(
        "folder-and-file",
        ("a/", "a"),
        "'a' is in the archive twice, as a file and as a folder (see 'a/')",
        "The same the other way round.",
    )
    yield together(
        "file-with-files",
        ("a", "a/b"),
        "'a' is a file, and also the folder of 'a/b'",
        "A file that has files in it.",
    )
    yield together(
        "file-with-files-later",
        ("a/b/c/d", "a/b"),
        "'a/b' is a file, and also the folder of 'a/b/c/d'",
        "The same, deep, and the file last.",
    )
    yield together(
        "file-with-files-case",
        ("A", "a/b"),
        "'A' is a file, and also the folder of 'a/b'",
        "The same where case does not count.",
    )
    resolved_ = built(beside(named("a", b"0"), named("./a", b"1")))
    yield Case(
        "names-resolved-twice",
        "Two names that URLs do not tell apart.",
        resolved_,
        "'./a' has an empty or a dot segment in its name",
        "'a' is in the archive twice",
    )
    slashes = built(beside(named("a/b", b"0"), named("a\\b", b"1")))
    yield Case(
        "names-slashes-twice",
        "One name with either slash.",
        slashes,
        r"'a\\b' has a backslash in its name",
        "'a/b' is in the archive twice",
    )


def cases() -> Cases:
    """All of them."""
    yield from _traversal()
    yield from _unseen()
    yield from _elsewhere()
    yield from _long()
    yield from _together()
