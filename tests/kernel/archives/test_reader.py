"""Reading of archives, beyond the corpus of hostile ones and their verdicts (`tests/test_archives.py`)."""

import gzip
import io
import tracemalloc
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubrepo.kernel.archives import (
    GZIP_FRAME,
    Archive,
    ArchiveLimits,
    ArchiveRefused,
    NotAnArchive,
    gzip_framed,
    resolved,
)
from hubrepo.kernel.archives.directory import LARGEST_DIRECTORY
from tests.support.hostile.building import Part, Zip, stored


def zipped(*parts, **others):
    """An archive of these parts, or of empty members with these names."""
    named = (Part(each.encode()) if isinstance(each, str) else each for each in parts)
    return Zip(tuple(named), **others).build()


def opened(data, **limits):
    return Archive.read_from(io.BytesIO(data), ArchiveLimits(**limits))


def refusal(data, **limits):
    with pytest.raises(ArchiveRefused) as caught:
        opened(data, **limits).verify()
    return caught.value


PARTS = (Part(b"folder/"), Part(b"folder/a.txt", b"a" * 500), stored(b"b", b"stored"))
GOOD = zipped(*PARTS)
END = GOOD[-22:]
WIDE_END = zipped(is_wide=True)[:-22]


class TestReadFrom:
    def test_tells_the_members_in_the_order_of_the_directory(self):
        folder, text, plain = opened(GOOD).members
        assert [each.name for each in (folder, text, plain)] == ["folder/", "folder/a.txt", "b"]
        assert [each.is_directory for each in (folder, text, plain)] == [True, False, False]
        assert (text.size, text.method, text.mode) == (500, 8, 0o100644)
        assert text.crc == zlib.crc32(b"a" * 500)
        assert (plain.size, plain.stored_size, plain.method) == (6, 6, 0)
        assert GOOD[plain.offset :].startswith(b"stored")

    def test_reads_an_archive_without_members(self):
        assert opened(zipped()).members == ()

    @pytest.mark.parametrize("comment", [b"caf\x82", "café".encode()])
    def test_a_comment_is_told_in_utf8(self, comment):
        (member,) = opened(zipped(Part(b"a", comment=comment))).members
        assert (member.comment, member.flags) == ("café".encode(), 1 << 11)

    @given(st.binary(max_size=200), st.binary(max_size=60))
    def test_any_bytes_at_all_are_refused_or_read(self, before, after):
        for data in (before, before + END + after, before + WIDE_END + END + after):
            with pytest.raises(ArchiveRefused):
                opened(data)


class TestNames:
    def test_a_refusal_names_the_member(self):
        assert refusal(zipped("good", "../x")).member == "../x"

    def test_a_name_may_be_as_long_and_as_deep_as_the_limits_say_and_no_more(self):
        opened(zipped("é" * 50, "a/b/c/d"), max_name=100, max_depth=4).verify()
        long, deep = "é" * 51, "a/b/c/d/e"
        for name, reason in (
            (long, "has a name longer than the limit of 100 bytes (hubrepo.archives.max_name)"),
            (deep, "has a path longer than the limit of 4 segments (hubrepo.archives.max_depth)"),
        ):
            assert str(refusal(zipped(name), max_name=100, max_depth=4)) == f"{name!r} {reason}"

    def test_folders_may_hold_many_files_and_have_entries_of_their_own(self):
        opened(zipped("a/", "a/b/", "a/b/c", "a/b/d", "a/e", "A/f")).verify()


def ended(**fields):
    """GOOD, of which the end record tells something else."""
    return zipped(*PARTS, end=fields)


def widely(**fields):
    """GOOD with a ZIP64 end."""
    return zipped(*PARTS, is_wide=True, **fields)


BROKEN = {
    "there is no end record": [b"", b"PK\x05\x06", GOOD + b"x" * 70_000],
    "the directory is not where the end record says": [ended(size=10**6), ended(offset=10**6)],
    "the archive spans several files": [ended(disk=1), ended(total_here=2)],
    "the directory is longer than its entries": [ended(total=2, total_here=2)],
    "the directory ends early": [ended(total=4, total_here=4)],
    "the archive's comment ends early": [ended(comment_length=1)],
    "the directory holds something else than entries": [
        zipped(Part(b"a", entry={"signature": b"PK\0\0"}))
    ],
    "the two end records contradict each other": [widely(end64={"total": 9})],
    "the ZIP64 end record is missing": [widely(end64={"signature": b"PK\0\0"})],
    "the ZIP64 end record is not where its locator says": [widely(locator={"offset": 5})],
}


class TestNotAnArchive:
    @pytest.mark.parametrize("detail", BROKEN)
    def test_what_is_wrong_with_a_structure_is_told_to_the_log(self, detail):
        for data in BROKEN[detail]:
            refused = refusal(data)
            assert isinstance(refused, NotAnArchive)
            assert (str(refused), refused.detail) == ("file is not a valid ZIP", detail)

    def test_an_archive_cut_anywhere_is_refused(self):
        data = zipped("d/", Part(b"d/a", b"text " * 9), stored(b"e", b"x"), comment=b"comment")
        opened(data).verify()
        for length in range(len(data)):
            refusal(data[:length])

    @pytest.mark.parametrize("record", [b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\7"])
    def test_a_record_before_the_archive_is_found_also_where_two_pieces_of_it_meet(self, record):
        stray = record.rjust(256 * 1024 - 2 + len(record), b"x")
        refused = str(refusal(stray + GOOD))
        assert refused == "the file holds more than the archive's directory tells of"

    @given(
        st.sampled_from([GOOD, zipped("é", Part(b"a/b", b"\0" * 9000), comment=b"c")]),
        st.lists(st.tuples(st.integers(min_value=0), st.integers(0, 255)), min_size=1, max_size=6),
    )
    def test_an_archive_with_changed_bytes_is_refused_or_proves_true(self, data, changes):
        changed = bytearray(data)
        for at, value in changes:
            changed[at % len(data)] = value
        try:
            archive = opened(bytes(changed))
            archive.verify()
        except ArchiveRefused:
            return
        for member in archive.members:
            content = archive.read(member, limit=10_000)
            assert (len(content), zlib.crc32(content)) == (member.size, member.crc)
            assert ".." not in member.name.split("/")


class TestLimits:
    def test_every_limit_is_reached_before_it_is_broken(self):
        data = zipped(Part(b"a", b"x" * 60), Part(b"b", b"x" * 40))
        opened(data, max_members=2, max_expanded=100, max_name=1, max_depth=1).verify()
        message = "'b' expands beyond the limit of 99 bytes (hubrepo.archives.max_expanded)"
        assert str(refusal(data, max_expanded=99)) == message

    def test_too_many_members_are_refused_before_the_directory_is_read(self):
        broken = (replace(part, entry={"signature": b"PK\0\0"}) for part in PARTS)
        message = (
            "the archive has 3 members, more than the limit of 2 (hubrepo.archives.max_members)"
        )
        assert str(refusal(zipped(*broken), max_members=2)) == message

    def test_a_huge_directory_is_refused_before_it_is_read(self):
        data = zipped(*PARTS, end={"size": LARGEST_DIRECTORY + 1})
        tracemalloc.start()
        refused = refusal(data)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert str(refused) == f"the archive's directory is larger than {LARGEST_DIRECTORY} bytes"
        assert peak < 1024**2

    @pytest.mark.parametrize("claim", [0, 1, 5000, 1024**2])
    def test_a_bomb_that_claims_to_be_small_is_not_inflated_beyond_its_claim(
        self, claim, monkeypatch
    ):
        inflated = []

        class Counting:
            def __init__(self, inflater):
                self._inflater = inflater

            def __getattr__(self, name):
                return getattr(self._inflater, name)

            def decompress(self, *args):
                inflated.append(len(piece := self._inflater.decompress(*args)))
                return piece

        real = zlib.decompressobj
        monkeypatch.setattr(zlib, "decompressobj", lambda *args: Counting(real(*args)))
        bomb = zipped(Part(b"bomb", bytes(2 * 1024**2)).both(size=claim))
        refused = refusal(bomb, max_ratio=10_000)
        assert str(refused) == "'bomb' inflates to more than it claims"
        assert sum(inflated) <= claim + 1

    def test_read_gives_a_small_member_and_refuses_a_larger_one(self):
        archive = opened(GOOD)
        text = archive.members[1]
        assert archive.read(text, limit=500) == b"a" * 500
        with pytest.raises(ArchiveRefused, match=r"'folder/a\.txt' is larger than 499 bytes"):
            archive.read(text, limit=499)


class TestRoot:
    @pytest.mark.parametrize(
        ("names", "root"),
        [
            ([], ""),
            (["a"], ""),
            (["top/"], "top/"),
            (["top/a", "top/b/c"], "top/"),
            (["top/", "top/a"], "top/"),
            (["top/a", "b"], ""),
            (["top/a", "top2/b"], ""),
            (["top/a", "empty/"], ""),
        ],
    )
    def test_is_the_single_folder_that_holds_everything(self, names, root):
        assert opened(zipped(*names)).root_beside() == root

    def test_can_be_told_to_look_past_files_beside_the_folder(self):
        archive = opened(zipped("top/package.toml", "history.md"))
        assert archive.root_beside() == ""
        assert archive.root_beside("HISTORY.md") == "top/"
        assert archive.root_beside("other.md") == ""

    @pytest.mark.parametrize(
        ("names", "found"),
        [
            (["sub/package.toml", "package.toml"], "package.toml"),
            (["sub/package.toml", "PACKAGE.Toml", "x"], "PACKAGE.Toml"),
            (["top/sub/package.toml", "top/Package.toml"], "top/Package.toml"),
            (["sub/package.toml", "x"], None),
            (["package.toml/", "x"], None),
            (["package.toml/package.toml"], "package.toml/package.toml"),
            (["mypackage.toml"], None),
        ],
    )
    def test_a_file_is_found_there_in_any_case_and_nowhere_else(self, names, found):
        archive = opened(zipped(*names))
        member = archive.find(archive.root_beside(), "package.toml")
        assert (member and member.name) == found


class TestSpelling:
    @pytest.mark.parametrize(
        ("written", "name"),
        [
            ("a/b.txt", "a/b.txt"),
            ("a\\b.txt", "a/b.txt"),
            ("./a", "a"),
            ("a/./b/../c", "a/c"),
            ("a//b", "a/b"),
            (".\\folder\\", "folder/"),
            ("..dots/x", "..dots/x"),
        ],
    )
    def test_a_name_may_be_resolved_as_a_url_means_it(self, written, name):
        archive = Archive.read_from(io.BytesIO(zipped(written)), ArchiveLimits(), resolved)
        assert [each.name for each in archive.members] == [name]

    @pytest.mark.parametrize("written", ["./", ".\\", "a/../", ".//./"])
    def test_the_folder_it_is_unpacked_into_is_no_member(self, written):
        archive = Archive.read_from(io.BytesIO(zipped(written, "a")), ArchiveLimits(), resolved)
        assert [each.name for each in archive.members] == ["a"]

    @pytest.mark.parametrize("written", ["a/..", "."])
    def test_a_file_of_which_no_name_is_left_is_refused(self, written):
        with pytest.raises(ArchiveRefused, match="is no name"):
            Archive.read_from(io.BytesIO(zipped(written)), ArchiveLimits(), resolved)


def test_a_stored_stream_is_a_gzip_file_once_framed():
    content = b"a page " * 100_000
    archive = opened(zipped(Part(b"page.html", content)))
    (member,) = archive.members
    framed = b"".join(gzip_framed(archive.stored(member), member.crc, member.size))
    assert gzip.decompress(framed) == content
    assert len(framed) == member.stored_size + GZIP_FRAME
