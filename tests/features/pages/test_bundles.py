"""An upload that is no honest page is refused with the member and the rule, and nothing is unpacked."""

import hashlib
import io
import stat
import struct
import tracemalloc
import zipfile
import zlib
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubrepo.features.pages.bundles import MAX_MANIFEST, Bundle
from hubrepo.features.pages.errors import BadPath, InvalidBundle
from hubrepo.features.pages.schemas import PublishWish
from hubrepo.kernel.archives import ArchiveLimits
from tests.support.archives import make_zip, page_zip

MIB = 1024**2
MANIFEST = ("pages.toml", '[publish]\npath = "site"\n')


def bundle(data, path=None, **limits):
    return Bundle(io.BytesIO(data), ArchiveLimits(**limits), PublishWish(path, None))


def refusal(data, kind=InvalidBundle, path=None, **limits):
    with pytest.raises(kind) as caught:
        bundle(data, path, **limits)
    return caught.value.message.removeprefix("invalid pages bundle - ")


def member(name, content=b"x", mode=0o100644, method=zipfile.ZIP_DEFLATED):
    """A member, bytes and kind just as they are told."""
    info = zipfile.ZipInfo("renamed below", (2026, 1, 1, 0, 0, 0))
    info.filename, info.external_attr, info.compress_type = name, mode << 16, method
    return info, content


def zipped(*members):
    """An archive of a page with these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in (MANIFEST, *members):
            archive.writestr(*each)
    return file.getvalue()


def resized(data, name, size):
    """`data` with another size of the member `name`, wherever it is told."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        info = archive.getinfo(name)
    told = struct.pack("<2L", info.compress_size, info.file_size)
    return data.replace(told, struct.pack("<2L", info.compress_size, size))


class TestNames:
    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("../x", "'../x' leaves the archive"),
            ("a/../../x", "'a/../../x' leaves the archive"),
            ("..\\x", "'../x' leaves the archive"),
            ("/etc/passwd", "'/etc/passwd' has an absolute name"),
            ("\\\\host\\share", "'//host/share' has an absolute name"),
            ("C:\\x", "'C:/x' names a drive"),
            ("a\nb", r"'a\nb' has a control character in its name"),
            ("a\0b", r"'a\x00b' has a control character in its name"),
            ("a\u202eb", r"'a\u202eb' has a control character in its name"),
            ("", "'' is no name"),
            ("a/..", "'' is no name"),
        ],
    )
    def test_a_member_that_could_lie_elsewhere_is_refused(self, name, reason):
        assert refusal(zipped(("good", "x"), member(name))) == reason

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    @pytest.mark.parametrize(
        ("names", "reason"),
        [
            (["a", "a"], "'a' is in the archive twice"),
            (["README", "readme"], "'readme' differs from 'README' only in case or normal form"),
            (["ü", "u\u0308"], "'ü' is in the archive twice"),
            (["Ü", "u\u0308"], "'ü' differs from 'Ü' only in case or normal form"),
            (["a/b", "a/./b"], "'a/b' is in the archive twice"),
            (["a/b", "a\\b"], "'a/b' is in the archive twice"),
            (["a", "a/b"], "'a' is a file, and also the folder of 'a/b'"),
            (["a", "A\\b"], "'a' is a file, and also the folder of 'A/b'"),
            (["Pages.toml"], "'Pages.toml' differs from 'pages.toml' only in case or normal form"),
            (["./pages.toml"], "'pages.toml' is in the archive twice"),
        ],
    )
    def test_members_that_could_be_one_are_refused(self, names, reason):
        assert refusal(zipped(*map(member, names))) == reason

    def test_harmless_names_are_spelled_as_urls_mean_them(self):
        names = [
            "./a",
            "b\\c",
            "d/./e/../f",
            "g//h",
            "..dots/x",
            "u\u0308",
            "...",
            ".hidden/x",
            "%41",
        ]
        found = bundle(zipped(*map(member, names)))
        paths = ["a", "b/c", "d/f", "g/h", "..dots/x", "ü", "...", ".hidden/x", "%41"]
        assert [each.path for each in found.entries] == paths


GOOD = zipped(("one.html", "1" * 300), ("two.html", "2" * 300))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (zipped(member("l", b"/etc", stat.S_IFLNK | 0o777)), "'l' is a link"),
        (zipped(member("d", b"", stat.S_IFCHR | 0o644)), "'d' is neither a file nor a folder"),
        (zipped(member("f/", b"content")), "'f/' is a folder with content"),
        (
            zipped(member("b", method=zipfile.ZIP_BZIP2)),
            "'b' is compressed by method 12, neither stored nor deflated",
        ),
        (resized(GOOD, "one.html", 299), "'one.html' inflates to more than it claims"),
        (resized(GOOD, "one.html", 301), "'one.html' inflates to less than it claims"),
        (GOOD[: len(GOOD) // 2], "file is not a valid ZIP"),
        (b"", "file is not a valid ZIP"),
        (b"no archive", "file is not a valid ZIP"),
    ],
)  # fmt: skip
def test_what_is_not_what_it_claims_is_refused(data, reason):
    """The kernel's archives are asked; all that they refuse is in their own tests."""
    assert refusal(data) == reason


class TestLimits:
    """Bombs, by every limit."""

    @pytest.mark.parametrize(
        ("setting", "limit", "members", "reason"),
        [
            ("max_members", 2, [("a", "x"), ("b", "x")], "the archive has 3 members, more than the limit of 2"),
            ("max_expanded", 50, [("a", "x" * 9), ("b", "x" * 20)], "'b' expands beyond the limit of 50 bytes"),
            ("max_ratio", 9, [("a", bytes(2**21))], "'a' expands beyond the limit of 9 times its stored size"),
            ("max_name", 10, [("a" * 11, "x")], "'aaaaaaaaaaa' has a name longer than the limit of 10 bytes"),
            ("max_depth", 2, [("a/b/c", "x")], "'a/b/c' has a path longer than the limit of 2 segments"),
        ],
    )  # fmt: skip
    def test_what_goes_beyond_one_is_refused(self, setting, limit, members, reason):
        told = refusal(zipped(*members), **{setting: limit})
        assert told == f"{reason} (hubrepo.archives.{setting})"

    def test_a_bomb_that_lies_about_its_size_is_inflated_no_further_and_kept_nowhere(self):
        bomb = resized(zipped(("bomb.html", bytes(20 * MIB))), "bomb.html", 5 * MIB)
        tracemalloc.start()
        reason = refusal(bomb, max_ratio=10_000)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert reason == "'bomb.html' inflates to more than it claims"
        assert peak < 4 * MIB

    def test_files_that_are_read_into_memory_have_limits_of_their_own(self):
        large = '[publish]\npath = "site"\n#' + "x" * MAX_MANIFEST
        assert refusal(make_zip({"pages.toml": large, "a": "x"})) == (
            f"'pages.toml' is larger than {MAX_MANIFEST} bytes"
        )


class TestManifest:
    def test_it_is_found_in_any_case_and_never_a_file(self):
        for name in ("pages.toml", "Pages.TOML", "./pages.toml", "x/../PAGES.toml"):
            members = {name: MANIFEST[1], "sub/pages.toml": "is content", "index.html": ""}
            found = bundle(make_zip(members))
            assert (found.path, found.served) == ("site", 2)
            assert [each.path for each in found.entries] == ["sub/pages.toml", "index.html"]

    @pytest.mark.parametrize(
        ("members", "path", "found"),
        [
            ({"pages.toml": MANIFEST[1]}, "other", "site"),
            ({}, "other", "other"),
            ({}, "  other\n", "other"),
            ({"pages.toml": "title = 1"}, "other", "other"),
            ({"pages.toml": '[publish]\npath = " a/b "\n'}, None, "a/b"),
            ({"pages.toml": "top = 1\n[publish]\npath = 'x'\nkeep = [1]\n[[other]]\n"}, None, "x"),
        ],
    )
    def test_it_goes_before_the_form(self, members, path, found):
        assert bundle(make_zip({**members, "index.html": ""}), path).path == found

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ("[publish", "`pages.toml` is not valid TOML"),
            (b"\xff", "`pages.toml` is not valid TOML"),
            ("\ufeff[publish]\npath = 'a'\n", "`pages.toml` is not valid TOML"),
            ("x = " + "[" * 9999, "`pages.toml` is not valid TOML"),
            (None, "missing top-level `pages.toml`"),
        ],
    )
    def test_one_that_cannot_be_read_is_told_as_the_reference_does(self, content, reason):
        manifest = {} if content is None else {"pages.toml": content}
        assert refusal(make_zip({**manifest, "sub/pages.toml": MANIFEST[1], "a": ""})) == reason

    @pytest.mark.parametrize(
        "content",
        ["", "publish = 1", "[[publish]]", "[publish]", "[publish]\npath=1", "[publish]\npath=' '"],
    )  # fmt: skip
    def test_one_without_a_path_is_missing_it(self, content):
        data = make_zip({"pages.toml": content, "a": ""})
        assert refusal(data, BadPath) == "pages.toml missing [publish].path"

    @pytest.mark.parametrize("members", [{}, {"folder/": ""}])
    def test_an_archive_without_a_file_is_refused(self, members):
        assert refusal(make_zip({"pages.toml": MANIFEST[1], **members})) == "no files to publish"


def test_the_entries_of_folders_are_no_files():
    """Archivers write them with the mode of a folder, that of the root too."""
    for name in ("folder/", "./", "a/../", ".\\"):
        found = bundle(zipped(member(name, b"", stat.S_IFDIR | 0o755), ("a", "x")))
        assert [each.path for each in found.entries] == ["a"]


def test_an_entry_tells_where_its_file_lies():
    content = b"<h1>hello</h1>" * 50
    data = zipped(("deflated.html", content), member("stored.html", content, method=0))
    deflated, stored = bundle(data).entries
    stream = data[deflated.offset : deflated.offset + deflated.stored_size]
    assert zlib.decompress(stream, -zlib.MAX_WBITS) == content
    assert deflated.stored_digest == hashlib.sha256(stream).hexdigest()
    assert data[stored.offset : stored.offset + stored.stored_size] == content
    assert stored.stored_digest is None
    for each in (deflated, stored):
        assert (each.size, each.crc) == (len(content), zlib.crc32(content))
        assert each.digest == hashlib.sha256(content).hexdigest()


@given(
    st.dictionaries(
        st.from_regex("[a-c]{1,2}/[d-f]{1,3}", fullmatch=True), st.binary(max_size=99), min_size=1
    )
)
def test_every_file_can_be_read_where_its_entry_says(files):  # fmt: skip
    data = page_zip("site", files)
    found = {}
    for each in bundle(data).entries:
        stored = data[each.offset : each.offset + each.stored_size]
        found[each.path] = (
            zlib.decompress(stored, -zlib.MAX_WBITS) if each.stored_digest else stored
        )
    assert found == files


EURO = "€".encode()


@pytest.mark.parametrize(
    ("name", "content", "is_utf8"),
    [
        ("a.html", b"plain", True),
        ("a.html", b"", True),
        ("a.html", "ü€😀".encode(), True),
        ("a.html", "ü".encode("latin-1"), False),
        ("a.html", "ü".encode("utf-16"), False),
        ("a.html", EURO[:-1], False),
        ("a.html", b"\xed\xa0\x80", False),
        ("a.css", b"\xff" + b"a" * MIB, False),
        # A character that lies across the border of two pieces is one character.
        ("a.js", b"a" * (256 * 1024 - 1) + EURO, True),
        ("a.js", b"a" * (256 * 1024 - 2) + EURO + b"a" * MIB + EURO[:2], False),
        ("a.png", b"plain", False),
        ("a.json", b"{}", False),
        ("a", b"plain", False),
    ],
)
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_text_is_known_as_utf8_where_it_is(name, content, is_utf8, method):
    (entry,) = bundle(zipped(member(name, content, method=method)), max_ratio=10_000).entries
    assert entry.is_utf8 is is_utf8


def test_files_with_rules_are_kept_and_not_counted():
    found = bundle(
        zipped(
            ("a", "x"), ("_redirects", "/a /b"), ("_headers", "/*\n  X-A: 1"), ("x/_headers", "")
        )
    )
    assert [each.path for each in found.entries] == ["a", "_redirects", "_headers", "x/_headers"]
    assert found.served == 2
    assert found.rules.lead("/a").target == "/b"
    assert found.rules.headers_for("/a") == {"x-a": "1"}
    assert bundle(zipped(("a", "x"))).rules is None


@pytest.mark.stress
@pytest.mark.serial
def test_the_time_grows_with_the_files_and_not_with_their_square():
    def seconds(count):
        names = (f"folder-{n % 50}/deep/er/file-{n}.html" for n in range(count))
        data = page_zip("site", dict.fromkeys(names, "x" * 20))
        started = process_time()
        assert len(bundle(data).entries) == count
        return process_time() - started

    few, many = min(seconds(500) for _ in range(3)), min(seconds(5000) for _ in range(2))
    assert many < few * 30
