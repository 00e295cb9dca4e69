"""What is written is read back by ours, and by zipfile."""

import io
import zipfile
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubrepo.kernel.archives import Archive, ArchiveLimits, ArchiveRefused, ArchiveWriter, Member
from hubrepo.kernel.archives.directory import find_directory
from hubrepo.kernel.archives.names import check_name, check_together
from hubrepo.kernel.archives.records import UTF8
from hubrepo.kernel.archives.writer import (
    directory_entry,
    dos_date_and_time,
    end_records,
    local_header,
)
from tests.support.readers import require_other_readers, run
from tests.support.walker import walk

COUNT = 65_600
NOON = datetime(2026, 3, 4, 12, 30, 58, tzinfo=UTC)
LIMITS = ArchiveLimits()


class Pipe(io.BytesIO):
    """What zipfile writes here has sizes and checksums behind the data."""

    def seekable(self):
        return False

    def tell(self):
        raise io.UnsupportedOperation


def opened(data, limits=LIMITS):
    archive = Archive.read_from(io.BytesIO(data), limits)
    archive.verify()
    return archive


def copied(data, order=None, limits=LIMITS):
    """The bytes of an archive with all members of the archive `data`, written in `order`."""
    source = Archive.read_from(io.BytesIO(data), limits)
    sink = io.BytesIO()
    writer = ArchiveWriter(sink)
    for member in sorted(source.members, key=order) if order else source.members:
        writer.copy(source, member)
    writer.finish([member.name for member in source.members])
    return sink.getvalue()


def zipped(*members):
    """An archive of these pairs of a ZipInfo or a name and a content."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
        archive.comment = b"is dropped"
    return file.getvalue()


KEPT = attrgetter(
    "date_time", "external_attr", "internal_attr", "create_system", "create_version",
    "compress_type", "compress_size",
)  # fmt: skip


def told(data):
    """All that zipfile tells of an archive that a rewrite must not change."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return [(each.filename, archive.read(each), *KEPT(each)) for each in archive.infolist()]


def stored(data, limits=LIMITS):
    archive = Archive.read_from(io.BytesIO(data), limits)
    return [b"".join(archive.stored(each)) for each in archive.members]


def is_allowed(names):
    try:
        for name in names:
            check_name(name, LIMITS)
        check_together(names)
    except ArchiveRefused:
        return False
    return True


segments = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\"), min_size=1
)
names = st.builds(
    lambda path, slash: "/".join(path) + slash,
    st.lists(segments, min_size=1, max_size=3),
    st.sampled_from(["", "", "", "/"]),
)
moments = st.integers(0, 4_000_000_000).map(
    lambda s: datetime(1980, 1, 1, tzinfo=UTC) + timedelta(seconds=s)
)


@st.composite
def archives(draw):
    """Bytes of an archive as zipfile writes them, seekable or streamed."""
    file = draw(st.sampled_from([io.BytesIO, Pipe]))()
    with zipfile.ZipFile(file, "w") as archive:
        for name in draw(st.lists(names, max_size=6).filter(is_allowed)):
            moment = draw(moments)
            info = zipfile.ZipInfo(name, moment.timetuple()[:6])
            info.compress_type = draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
            info.create_system = draw(st.sampled_from([0, 3, 19]))
            info.external_attr = draw(st.integers(0, 0o777)) << 16 | draw(
                st.sampled_from([0, 0x01, 0x20, 0x21])
            )
            info.comment = draw(st.text("any é\0", max_size=20)).encode()
            content = b"" if info.is_dir() else draw(st.binary(max_size=400))
            with archive.open(info, "w", force_zip64=draw(st.booleans())) as member:
                member.write(content)
        archive.comment = draw(st.text("any é", max_size=20)).encode()
    return file.getvalue()


class TestCopy:
    @given(archives(), st.randoms(use_true_random=False))
    def test_a_copy_differs_in_nothing_that_matters(self, data, random):
        copy = copied(data, order=lambda _: random.random())
        assert told(copy) == told(data)
        assert stored(copy) == stored(data)
        opened(copy)
        assert [tuple(each) for each in walk(copy)] == [each[:2] for each in told(data)]

    def test_a_copy_of_a_copy_is_the_same_to_the_byte(self):
        copy = copied(zipped(("a", b"a" * 5000), ("d/", b""), ("é", b"")))
        assert copied(copy) == copy

    def test_a_mode_keeps_its_permissions_only(self):
        info = zipfile.ZipInfo("a")
        info.external_attr = 0o106751 << 16
        (member,) = opened(copied(zipped((info, b"")))).members
        assert member.mode == 0o100751

    def test_a_name_and_a_comment_in_code_page_437_are_told_in_utf8(self):
        info = zipfile.ZipInfo("caXe")
        info.comment = b"caXe"
        data = zipped((info, b"x")).replace(b"caXe", b"caf\x82")
        with zipfile.ZipFile(io.BytesIO(copied(data))) as archive:
            (info,) = archive.infolist()
        assert (info.filename, info.comment) == ("café", "café".encode())
        assert info.flag_bits & UTF8

    def test_members_beyond_4_gib_are_written_and_read(self, tmp_path):
        huge, small = 5 * 1024**3, 10
        limits = ArchiveLimits(max_expanded=2 * huge)
        first = replace(zeros("huge", huge), method=8, size=huge + 1000)
        second = zeros("small", small)
        path = tmp_path / "sparse.zip"
        with path.open("w+b") as file:
            file.write(local_header(first))
            second_at = file.seek(huge, io.SEEK_CUR)
            file.write(local_header(second) + bytes(small))
            start = file.tell()
            file.write(directory_entry(first, 0) + directory_entry(second, second_at))
            file.write(end_records(2, start, file.tell() - start))
            archive = Archive.read_from(file, limits)
            assert [each.size for each in archive.members] == [huge + 1000, small]
            assert archive.read(archive.members[1], limit=small) == bytes(small)
            with zipfile.ZipFile(file) as other:
                assert [each.compress_size for each in other.infolist()] == [huge, small]
                assert other.read("small") == bytes(small)


def zeros(name, size):
    """A stored member of zeros, not yet in any archive."""
    checksum = zlib.crc32(bytes(size)) if size < 100 else 0
    date, time = dos_date_and_time(NOON)
    return Member(name, 0, checksum, size, size, 0, date, time, 3 << 8 | 20)


class TestAdd:
    def added(self, name="new.txt", data=b"new" * 100, like=None, modified=NOON):
        sink = io.BytesIO()
        writer = ArchiveWriter(sink)
        writer.add(name, data, modified=modified, like=like)
        writer.finish()
        opened(sink.getvalue())
        with zipfile.ZipFile(io.BytesIO(sink.getvalue())) as archive:
            assert archive.testzip() is None
            (info,) = archive.infolist()
            assert archive.read(info) == data
            return info

    def like(self, comment):
        info = zipfile.ZipInfo("old.txt")
        info.external_attr, info.comment, info.create_system = 0o100755 << 16, comment, 19
        (member,) = opened(zipped((info, b""))).members
        return member

    @pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 400])
    def test_a_new_member_is_deflated_and_dated(self, data):
        info = self.added(data=data)
        assert info.compress_type == zipfile.ZIP_DEFLATED
        assert info.date_time == (2026, 3, 4, 12, 30, 58)
        assert info.external_attr >> 16 == 0o100644

    @pytest.mark.parametrize(
        ("year", "written"),
        [(1970, (1980, 1, 1, 0, 0, 0)), (2222, (2107, 12, 31, 23, 59, 58))],
    )
    def test_a_date_that_a_zip_cannot_tell_becomes_the_nearest(self, year, written):
        assert self.added(modified=NOON.replace(year=year)).date_time == written

    def test_mode_and_comment_come_from_the_member_it_stands_in_for(self):
        info = self.added(like=self.like(b"a comment"))
        assert info.external_attr >> 16 == 0o100755
        assert (info.comment, info.create_system) == (b"a comment", 19)
        assert info.date_time == (2026, 3, 4, 12, 30, 58)

    def test_a_comment_in_code_page_437_stays_readable(self):
        assert self.added(name="é.txt", like=self.like(b"\x82")).comment == "é".encode()
        assert self.added(name="e.txt", like=self.like(b"\x82")).comment == "é".encode()
        longest = self.added(name="é.txt", like=self.like(b"\x82" * 65_535)).comment
        assert longest == "é".encode() * 32_767


class TestFinish:
    def test_a_member_written_last_can_be_listed_first(self):
        source = opened(zipped(("first", b"1"), ("second", b"2")))
        sink = io.BytesIO()
        writer = ArchiveWriter(sink)
        writer.copy(source, source.members[1])
        writer.add("first", b"one", modified=NOON)
        writer.finish(["first", "second"])
        assert [each[:2] for each in told(sink.getvalue())] == [("first", b"one"), ("second", b"2")]
        assert [each.name for each in opened(sink.getvalue()).members] == ["first", "second"]

    def test_an_archive_without_members_is_one(self):
        sink = io.BytesIO()
        ArchiveWriter(sink).finish()
        assert opened(sink.getvalue()).members == ()

    @pytest.mark.parametrize("order", [[], ["a"], ["a", "a"], ["a", "b", "c"], ["a", "c"]])
    def test_the_order_names_every_member_once(self, order):
        writer = ArchiveWriter(io.BytesIO())
        writer.add("a", b"", modified=NOON)
        writer.add("b", b"", modified=NOON)
        with pytest.raises(ValueError, match="every member"):
            writer.finish(order)

    def test_a_name_is_written_once(self):
        writer = ArchiveWriter(io.BytesIO())
        writer.add("a", b"", modified=NOON)
        with pytest.raises(ValueError, match="already been written"):
            writer.add("a", b"", modified=NOON)

    def test_the_sink_is_only_ever_appended_to(self):
        class Digest:
            def __init__(self):
                self.seen = b""

            def write(self, data):
                self.seen += data

        source = opened(zipped(("a", b"a" * 1000)))
        digest = Digest()
        writer = ArchiveWriter(digest)
        writer.copy(source, source.members[0])
        writer.finish()
        assert told(digest.seen)[0][:2] == ("a", b"a" * 1000)


@pytest.mark.long
def test_more_members_than_16_bits_count_are_written_as_other_programs_read_them(tmp_path):
    source = opened(zipped(("d/", b""), ("d/é.txt", b"text" * 1000), ("many", b"")))
    folder, text, empty = source.members
    path = tmp_path / "written.zip"
    with path.open("w+b") as sink:
        writer = ArchiveWriter(sink)
        for member in (folder, text, *(replace(empty, name=f"{n}") for n in range(COUNT))):
            writer.copy(source, member)
        writer.add("first", b"first", modified=NOON)
        expected = ["first", "d/", "d/é.txt", *map(str, range(COUNT))]
        writer.finish(expected)
        assert find_directory(sink, replace(LIMITS, max_members=70_000)).members == len(expected)
        with zipfile.ZipFile(sink) as theirs:
            assert theirs.namelist() == expected
    require_other_readers()
    run("unzip", "-tqq", str(path))
    run("bsdtar", "-tf", str(path))
