"""Hostile archives are made with zipfile, then bent into what zipfile would never write."""

import gzip
import io
import struct
import tracemalloc
import zipfile
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
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
from hubrepo.kernel.archives.records import (
    END_FORMAT,
    ENTRY_FORMAT,
    LOCAL_FORMAT,
    EndRecord,
    Entry,
    LocalHeader,
    block,
)

RECORDS = {
    "local": (b"PK\x03\x04", LOCAL_FORMAT, LocalHeader),
    "entry": (b"PK\x01\x02", ENTRY_FORMAT, Entry),
    "end": (b"PK\x05\x06", END_FORMAT, EndRecord),
}


def info(name, *, method=zipfile.ZIP_DEFLATED, mode=0o100644, extra=b""):
    made = zipfile.ZipInfo("renamed below", (2024, 5, 17, 12, 30, 58))
    made.filename = name  # the constructor would cut the name at a NUL
    made.compress_type, made.external_attr, made.extra = method, mode << 16, extra
    return made


def zipped(*members, comment=b""):
    """An archive of these names, `(name, content)` pairs or `(ZipInfo, content)` pairs."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for member in members:
            name, content = member if isinstance(member, tuple) else (member, b"")
            archive.writestr(info(name) if isinstance(name, str) else name, content)
        archive.comment = comment
    return file.getvalue()


def bent(data, record, skip=0, **fields):
    """`data` with fields of its first (or a later) `record` changed."""
    signature, layout, kind = RECORDS[record]
    at = data.index(signature)
    for _ in range(skip):
        at = data.index(signature, at + 1)
    changed = kind._make(layout.unpack_from(data, at))._replace(**fields)
    return data[:at] + layout.pack(*changed) + data[at + layout.size :]


def bent_twice(data, **fields):
    """`data` with the same fields changed in the first local header and the first entry."""
    return bent(bent(data, "local", **fields), "entry", **fields)


def opened(data, **limits):
    return Archive.read_from(io.BytesIO(data), ArchiveLimits(**limits))


def contents(archive):
    return {each.name: b"".join(archive.chunks(each)) for each in archive.members}


def refusal(data, **limits):
    with pytest.raises(ArchiveRefused) as caught:
        opened(data, **limits).verify()
    return caught.value


GOOD = zipped("folder/", ("folder/a.txt", b"a" * 500), (info("b", method=0), b"stored"))
WIDE_END = struct.pack(
    "<4sQ2H2L4Q4sLQL", b"PK\x06\x06", 44, 45, 45, 0, 0, 9, 9, 0, 0, b"PK\x06\x07", 0, 0, 1
)


class TestReadFrom:
    def test_tells_the_members_in_the_order_of_the_directory(self):
        assert [each.name for each in opened(GOOD).members] == ["folder/", "folder/a.txt", "b"]
        folder, text, stored = opened(GOOD).members
        assert folder.is_directory
        assert not text.is_directory
        assert (text.size, text.method, text.mode, text.crc) == (
            500,
            8,
            0o100644,
            zlib.crc32(b"a" * 500),
        )
        assert (stored.size, stored.stored_size, stored.method) == (6, 6, 0)
        assert GOOD[stored.offset :].startswith(b"stored")

    def test_reads_an_archive_without_members(self):
        assert opened(zipped()).members == ()

    @pytest.mark.parametrize("before", [b"", b"#!/bin/sh\n"])
    @pytest.mark.parametrize("after", [b"", b"\n" * 1000])
    def test_bytes_before_and_after_the_archive_do_no_harm(self, before, after):
        archive = opened(before + GOOD + after)
        assert contents(archive)["b"] == b"stored"

    def test_reads_what_was_streamed_with_sizes_behind_the_data(self):
        data = streamed(("a", b"streamed" * 99), ("b", b""))
        assert contents(opened(data)) == {"a": b"streamed" * 99, "b": b""}

    def test_reads_zip64_sizes_and_end_records(self):
        file = io.BytesIO()
        with (
            zipfile.ZipFile(file, "w") as archive,
            archive.open("big", "w", force_zip64=True) as big,
        ):
            big.write(b"not so big")
        narrow = file.getvalue()
        at = narrow.index(b"PK\x05\x06")
        end = EndRecord._make(END_FORMAT.unpack_from(narrow, at))
        numbers = (0, 0, 1, 1, end.size, end.offset)
        wide = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, *numbers)
        locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
        data = bent(
            narrow[:at] + wide + locator + narrow[at:], "end", size=2**32 - 1, total=2**16 - 1
        )
        assert contents(opened(data)) == {"big": b"not so big"}

    def test_a_folder_may_be_deflated_as_long_as_it_is_empty(self):
        data = zipped((info("d/", method=zipfile.ZIP_DEFLATED), b""))
        assert opened(data).members[0].stored_size == 2
        opened(data).verify()

    def test_an_unmarked_name_is_in_code_page_437(self):
        data = zipped("caXe").replace(b"caXe", b"caf\x82")
        assert [each.name for each in opened(data).members] == ["café"]

    def test_a_unicode_name_beside_the_name_becomes_the_name(self):
        extra = block(0x7075, struct.pack("<BL", 1, zlib.crc32(b"_.txt")) + "é.txt".encode())
        (member,) = opened(zipped((info("_.txt", extra=extra), b""))).members
        assert member.name == "é.txt"

    def test_a_unicode_name_meant_for_another_name_is_ignored(self):
        extra = block(0x7075, struct.pack("<BL", 1, zlib.crc32(b"before.txt")) + b"other.txt")
        (member,) = opened(zipped((info("_.txt", extra=extra), b""))).members
        assert member.name == "_.txt"

    @pytest.mark.parametrize("comment", [b"caf\x82", "café".encode()])
    def test_a_comment_is_told_in_utf8(self, comment):
        made = info("a")
        made.comment = comment
        (member,) = opened(zipped((made, b""))).members
        assert member.comment == "café".encode()
        assert member.flags == 1 << 11

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=200), st.binary(max_size=60))
    def test_any_bytes_at_all_are_refused_or_read(self, before, after):
        for data in (before, before + GOOD[-22:] + after, before + WIDE_END + GOOD[-22:] + after):
            with pytest.raises(ArchiveRefused):
                opened(data)


class TestNames:
    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("../../x", "'../../x' leaves the archive"),
            ("a/../b", "'a/../b' leaves the archive"),
            ("a/..", "'a/..' leaves the archive"),
            ("/etc/passwd", "'/etc/passwd' has an absolute name"),
            ("/", "'/' has an absolute name"),
            ("//host/share", "'//host/share' has an absolute name"),
            ("", "'' is no name"),
            ("./a", "'./a' has an empty or a dot segment in its name"),
            ("a//b", "'a//b' has an empty or a dot segment in its name"),
            ("a//", "'a//' has an empty or a dot segment in its name"),
            ("a\\b", r"'a\\b' has a backslash in its name"),
            ("a\0b", r"'a\x00b' has a control character in its name"),
            ("a\nb", r"'a\nb' has a control character in its name"),
            ("a\u202ebc", r"'a\u202ebc' has a control character in its name"),
            ("C:/x", "'C:/x' names a drive"),
            ("c:x", "'c:x' names a drive"),
            ("a/C:", "'a/C:' names a drive"),
            ("CON", "'CON' has the name of a device"),
            ("a/nul.txt/b", "'a/nul.txt/b' has the name of a device"),
            ("lpt1 .x", "'lpt1 .x' has the name of a device"),
            (".. /b", "'.. /b' has a name of dots and blanks"),
            ("a/. .", "'a/. .' has a name of dots and blanks"),
            ("e" + "\u0301" * 31, "'e" + "\u0301" * 31 + "' has more than 30 accents in a row"),
            ("\u0f73" * 31, "'" + "\u0f73" * 31 + "' has more than 30 accents in a row"),
            (
                "\u0301" * 20 + "\u034f" + "\u0301" * 11,
                "'"
                + "\u0301" * 20
                + "\u034f"
                + "\u0301" * 11
                + "' has more than 30 accents in a row",
            ),
        ],
    )
    def test_a_dangerous_name_is_refused(self, name, message):
        refused = refusal(zipped("good", name))
        assert str(refused) == message
        assert refused.member == name

    def test_a_name_too_long_or_too_deep_is_refused(self):
        long, deep = "é" * 51, "a/b/c/d/e"
        limit = "the limit of 100 bytes (hubrepo.archives.max_name)"
        assert (
            str(refusal(zipped(long), max_name=100)) == f"{long!r} has a name longer than {limit}"
        )
        limit = "the limit of 4 segments (hubrepo.archives.max_depth)"
        assert str(refusal(zipped(deep), max_depth=4)) == f"{deep!r} has a path longer than {limit}"

    def test_a_segment_that_no_file_system_takes_is_refused(self):
        opened(zipped("é" * 127 + "/" + "a" * 255)).verify()
        refused = "has a name of which a part is longer than 255 bytes"
        assert str(refusal(zipped("a/" + "é" * 128))) == f"'a/{'é' * 118}…' {refused}"

    @pytest.mark.parametrize(
        "name",
        [
            "a/b/c/d",
            "é" * 50,
            "\u0390" + "\u0301" * 30,
            "..a",
            "a..",
            "...",
            "ab: c",
            " ",
            "日本/語",
            "~",
            "console",
            "com",
        ],
    )
    def test_an_unusual_name_is_fine(self, name):
        opened(zipped(name), max_name=100, max_depth=4).verify()

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (["a", "b", "a"], "'a' is in the archive twice"),
            (["a/", "a/"], "'a/' is in the archive twice"),
            (["README", "readme"], "'readme' differs from 'README' only in case or normal form"),
            (["straße", "STRASSE"], "'STRASSE' differs from 'straße' only in case or normal form"),
            (["é", "e\u0301"], "'e\u0301' differs from 'é' only in case or normal form"),
            (["D/x", "d/X"], "'d/X' differs from 'D/x' only in case or normal form"),
            (["a", "a\u200b"], r"'a\u200b' is a name that some systems do not tell from 'a'"),
            (["a", "A. "], "'A. ' is a name that some systems do not tell from 'a'"),
            (["a./b", "a/b"], "'a/b' is a name that some systems do not tell from 'a./b'"),
            (["a;1", "a"], "'a' is a name that some systems do not tell from 'a;1'"),
            (["a", "a/"], "'a/' is in the archive twice, as a file and as a folder (see 'a')"),
            (["a", "a/b"], "'a' is a file, and also the folder of 'a/b'"),
            (["a/b/c/d", "A/B"], "'A/B' is a file, and also the folder of 'a/b/c/d'"),
        ],
    )
    def test_names_that_some_system_cannot_keep_apart_are_refused(self, names, message):
        assert str(refusal(zipped(*names))) == message

    def test_folders_may_hold_many_files_and_have_entries_of_their_own(self):
        opened(zipped("a/", "a/b/", "a/b/c", "a/b/d", "a/e", "A/f")).verify()

    def test_a_name_marked_as_utf8_must_be_utf8(self):
        data = zipped("é").replace("é".encode(), b"\xff\xfe")
        assert (
            str(refusal(data)) == r"'\\xff\\xfe' has a name that is not the UTF-8 it claims to be"
        )

    def test_a_very_long_name_is_cut_in_the_message(self):
        assert len(str(refusal(zipped("x" * 60_000)))) < 250

    def test_a_unicode_name_beside_a_good_name_is_judged(self):
        extra = block(0x7075, struct.pack("<BL", 1, zlib.crc32(b"good")) + b"../bad")
        assert (
            str(refusal(zipped((info("good", extra=extra), b"")))) == "'../bad' leaves the archive"
        )


ONE = zipped(("one", b"1" * 300))
TWO = zipped(("one", b"1" * 300), ("two", b"2" * 300))


def streamed(*members):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def tell(self):
            raise io.UnsupportedOperation

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return pipe.getvalue()


STREAMED = streamed(("one", b"1" * 300))


class TestMembers:
    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (bent_twice(ONE, flags=1), "'one' is encrypted"),
            (bent_twice(ONE, flags=1 << 6), "'one' is encrypted"),
            (bent(ONE, "entry", flags=1 << 13), "'one' is encrypted"),
            (bent(ONE, "local", flags=1), "'one' is of another kind in its local header"),
            (bent_twice(ONE, flags=1 << 5), "'one' is a patch"),
            (zipped((info("l", mode=0o120777), b"/etc")), "'l' is a link"),
            (
                bent(zipped((info("l", mode=0o120777), b"/etc")), "entry", made_by=20),
                "'l' is a link",
            ),
            (zipped((info("p", mode=0o010644), b"")), "'p' is neither a file nor a folder"),
            (zipped((info("c", mode=0o020644), b"")), "'c' is neither a file nor a folder"),
            (zipped((info("d", mode=0o040755), b"")), "'d' is a folder only by its mode"),
            (bent(ONE, "entry", external=0x10), "'one' is a folder only by its attributes"),
            (bent(ONE, "entry", external=0x08), "'one' is the label of a volume"),
            (bent(ONE, "entry", external=0x400), "'one' is a link"),
            (
                zipped((info("b", method=zipfile.ZIP_BZIP2), b"x")),
                "'b' is compressed by method 12, neither stored nor deflated",
            ),
            (
                zipped((info("b", method=zipfile.ZIP_LZMA), b"x")),
                "'b' is compressed by method 14, neither stored nor deflated",
            ),
            (
                bent_twice(ONE, method=99),
                "'one' is compressed by method 99, neither stored nor deflated",
            ),
            (bent_twice(ONE, needs=200), "'one' needs a version of the format that does not exist"),
            (zipped((info("d/"), b"content")), "'d/' is a folder with content"),
            (
                bent_twice(zipped((info("s", method=0), b"four")), size=5),
                "'s' is stored, but claims two sizes",
            ),
            (bent(ONE, "local", signature=b"PK\3\5"), "'one' is not where the directory says"),
            (bent(ONE, "entry", offset=1), "'one' is not where the directory says"),
            (bent(ONE, "entry", offset=2**32 - 2), "'one' lies outside the archive"),
            (bent(ONE, "entry", stored_size=5000), "'one' lies outside the archive"),
            (ONE.replace(b"one", b"two", 1), "'one' bears another name in its local header"),
            (bent(ONE, "local", name_length=2), "'one' bears another name in its local header"),
            (bent(ONE, "local", method=0), "'one' is of another kind in its local header"),
            (bent(ONE, "local", size=7), "'one' has another size or checksum in its local header"),
            (bent(ONE, "local", crc=7), "'one' has another size or checksum in its local header"),
            (
                bent(TWO, "local", extra_length=20, stored_size=0),
                "'one' has another size or checksum in its local header",
            ),
            (bent_twice(ONE, size=299), "'one' inflates to more than it claims"),
            (bent_twice(ONE, size=301), "'one' inflates to less than it claims"),
            (bent_twice(ONE, size=0), "'one' inflates to more than it claims"),
            (bent_twice(ONE, crc=7), "'one' does not match its checksum"),
            (
                bent_twice(zipped((info("s", method=0), b"four")), crc=7),
                "'s' does not match its checksum",
            ),
            (bent_twice(ONE, stored_size=4), "'one' has compressed data that ends early"),
            (bent_twice(ONE, stored_size=0), "'one' has compressed data that ends early"),
            (
                ONE.replace(zlib.compress(b"1" * 300, wbits=-15)[:1], b"\xff", 1),
                "'one' has broken compressed data",
            ),
        ],
    )
    def test_a_member_that_is_not_what_it_should_be_is_refused(self, data, message):
        assert str(refusal(data)) == message

    def test_bytes_behind_the_compressed_data_are_refused(self):
        data = zipped((info("s", method=0), zlib.compress(b"hello", wbits=-15) + b"hidden"))
        data = bent_twice(data, method=8, size=5, crc=zlib.crc32(b"hello"))
        assert str(refusal(data)) == "'s' has bytes after the end of its compressed data"

    def test_members_that_share_bytes_are_refused(self):
        inner = zipped((info("in", method=0), b"x"))
        inner = inner[: inner.index(b"PK\x01\x02")]
        data = zipped((info("out", method=0), inner), (info("in", method=0), b"x"))
        data = bent(data, "entry", skip=1, offset=data.index(inner))
        assert str(refusal(data)) == "'in' overlaps 'out'"

    @pytest.mark.parametrize("fields", [{"crc": 7}, {"size": 7}, {"stored_size": 9}])
    def test_a_local_header_that_leaves_its_sizes_to_a_descriptor_may_not_lie(self, fields):
        assert (
            str(refusal(bent(STREAMED, "local", **fields)))
            == "'one' has another size or checksum in its local header"
        )

    def test_a_descriptor_tells_the_truth(self):
        at = STREAMED.index(b"PK\7\x08")
        for skip in (4, 8, 12):
            data = STREAMED[: at + skip] + b"?" + STREAMED[at + skip + 1 :]
            assert (
                str(refusal(data)) == "'one' has another size or checksum behind its data, or none"
            )

    @pytest.mark.parametrize("record", [b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\7"])
    @pytest.mark.parametrize("where", ["before", "after", "comment"])
    def test_what_looks_like_more_of_an_archive_is_refused(self, record, where):
        at = {"before": 0, "after": len(ONE), "comment": len(ONE)}[where]
        length = 256 * 1024 - 2 + len(record) if where == "before" else len(record)
        data = ONE[:at] + record.rjust(length, b"x") + ONE[at:]
        if where == "comment":
            data = bent(data, "end", comment_length=len(record))
        assert str(refusal(data)) == "the file holds more than the archive's directory tells of"

    def test_a_record_in_a_comment_is_refused(self):
        made = info("a")
        made.comment = b"PK\6\7" + bytes(16)
        assert str(refusal(zipped(made, "b"))) == "'a' has a record of the format in its comment"

    def test_extra_fields_that_contradict_each_other_are_refused(self):
        twice = block(1, bytes(8)) + block(1, bytes(7) + b"1")
        assert (
            str(refusal(zipped((info("a", extra=twice), b""))))
            == "'a' has two extra fields that contradict each other"
        )

    def test_one_shared_byte_is_enough(self):
        data = zipped((info("a", method=0), b"four"), (info("b", method=0), b"four"))
        assert str(refusal(bent_twice(data, size=5, stored_size=5))) == "'b' overlaps 'a'"

    def test_two_entries_for_one_place_are_refused(self):
        data = bent(TWO, "entry", skip=1, offset=0).replace(b"two", b"ONE")
        assert str(refusal(data)) == "'ONE' bears another name in its local header"

    def test_a_member_that_reaches_into_the_directory_is_refused(self):
        data = bent_twice(zipped((info("s", method=0), b"four")), size=5, stored_size=5)
        assert str(refusal(data)) == "'s' lies outside the archive"


class TestNotAnArchive:
    @pytest.mark.parametrize(
        ("data", "detail"),
        [
            (b"", "there is no end record"),
            (b"hello", "there is no end record"),
            (b"PK\x05\x06", "there is no end record"),
            (GOOD + b"x" * 70_000, "there is no end record"),
            (bent(GOOD, "end", size=10**6), "the directory is not where the end record says"),
            (bent(GOOD, "end", offset=10**6), "the directory is not where the end record says"),
            (bent(GOOD, "end", disk=1), "the archive spans several files"),
            (bent(GOOD, "end", total_here=2), "the archive spans several files"),
            (bent(GOOD, "end", total=2, total_here=2), "the directory is longer than its entries"),
            (bent(GOOD, "end", total=4, total_here=4), "the directory ends early"),
            (bent(GOOD, "end", comment_length=1), "the archive's comment ends early"),
            (
                bent(GOOD, "entry", signature=b"PK\0\0"),
                "the directory holds something else than entries",
            ),
            (GOOD[:-22] + WIDE_END + GOOD[-22:], "the two end records contradict each other"),
            (
                GOOD[:-22] + b"x" * 56 + WIDE_END[56:] + GOOD[-22:],
                "the ZIP64 end record is missing",
            ),
        ],
    )
    def test_a_broken_structure_is_no_archive(self, data, detail):
        refused = refusal(data)
        assert isinstance(refused, NotAnArchive)
        assert (str(refused), refused.detail) == ("file is not a valid ZIP", detail)

    def test_an_archive_cut_anywhere_is_refused(self):
        data = zipped("d/", ("d/a", b"text " * 9), (info("é", method=0), b"x"), comment=b"comment")
        opened(data).verify()
        for length in range(len(data)):
            refusal(data[:length])

    @settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.sampled_from([GOOD, TWO, zipped("é", ("a/b", b"\0" * 9000), comment=b"c")]),
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
        data = zipped(("a", b"x" * 60), ("b", b"x" * 40))
        opened(data, max_members=2, max_expanded=100, max_name=1, max_depth=1).verify()

    def test_too_many_members_are_refused_before_the_directory_is_read(self):
        message = (
            "the archive has 3 members, more than the limit of 2 (hubrepo.archives.max_members)"
        )
        assert str(refusal(bent(GOOD, "entry", signature=b"PK\0\0"), max_members=2)) == message

    def test_a_huge_directory_is_refused_before_it_is_read(self):
        size = LARGEST_DIRECTORY + 1
        tracemalloc.start()
        refused = refusal(bent(GOOD, "end", size=size))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert str(refused) == f"the archive's directory is larger than {LARGEST_DIRECTORY} bytes"
        assert peak < 1024**2

    def test_members_that_expand_too_far_together_are_refused(self):
        message = "'b' expands beyond the limit of 99 bytes (hubrepo.archives.max_expanded)"
        assert str(refusal(zipped(("a", b"x" * 60), ("b", b"x" * 40)), max_expanded=99)) == message

    def test_a_member_that_expands_too_far_for_its_size_is_refused(self):
        message = (
            "'z' expands beyond the limit of 200 times its stored size (hubrepo.archives.max_ratio)"
        )
        assert str(refusal(zipped(("z", bytes(2 * 1024**2))))) == message

    def test_a_small_member_may_be_as_compressible_as_it_likes(self):
        opened(zipped(("z", bytes(1024**2)))).verify()

    @pytest.mark.parametrize("claim", [0, 1, 5000, 10 * 1024**2])
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
        bomb = bent_twice(zipped(("bomb", bytes(20 * 1024**2))), size=claim)
        refused = refusal(bomb, max_ratio=10_000)
        assert str(refused) == "'bomb' inflates to more than it claims"
        assert sum(inflated) <= claim + 1

    def test_read_gives_a_small_member_and_refuses_a_larger_one(self):
        archive = opened(ONE)
        assert archive.read(archive.members[0], limit=300) == b"1" * 300
        with pytest.raises(ArchiveRefused, match="'one' is larger than 299 bytes"):
            archive.read(archive.members[0], limit=299)


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

    @pytest.mark.parametrize(
        ("written", "reason"),
        [
            ("../a", "leaves the archive"),
            ("a/../../b", "leaves the archive"),
            ("..\\a", "leaves the archive"),
            ("/a", "has an absolute name"),
            ("\\a", "has an absolute name"),
            ("\\\\host\\share", "has an absolute name"),
            ("C:\\a", "names a drive"),
            ("a/..", "is no name"),
            (".", "is no name"),
        ],
    )
    def test_what_is_unsafe_stays_refused(self, written, reason):
        with pytest.raises(ArchiveRefused, match=reason):
            Archive.read_from(io.BytesIO(zipped(written)), ArchiveLimits(), resolved)

    def test_names_that_resolve_to_one_are_in_the_archive_twice(self):
        with pytest.raises(ArchiveRefused, match="'a' is in the archive twice"):
            Archive.read_from(io.BytesIO(zipped("a", "./a")), ArchiveLimits(), resolved)

    @pytest.mark.parametrize("written", ["./", "./a", "a//b", "a\\b"])
    def test_as_they_are_written_none_of_these_is_taken(self, written):
        with pytest.raises(ArchiveRefused):
            opened(zipped(written))


def test_a_stored_stream_is_a_gzip_file_once_framed():
    content = b"a page " * 100_000
    archive = opened(zipped(("page.html", content)))
    (member,) = archive.members
    framed = b"".join(gzip_framed(archive.stored(member), member.crc, member.size))
    assert gzip.decompress(framed) == content
    assert len(framed) == member.stored_size + GZIP_FRAME
