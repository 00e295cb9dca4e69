"""What publishing does to an archive, and which archives it refuses: section 6 and D4, D5, D21, D22."""

import hashlib
import io
import stat
import struct
import tomllib
import unicodedata
import zipfile

import pytest

from tests.support.archives import make_zip, manifest, package_zip, read_zip

STAMPED = [
    ('[package]\nname = "g"\nauthor = "c"\n', '[package]\nversion = 2\nname = "g"\nauthor = "c"\n'),
    (
        '[package]\nname = "g"\nversion = "1.2" # x\nauthor = "c"\n\n[other]\nversion = 5\n',
        '[package]\nname = "g"\nversion = 2\nauthor = "c"\n\n[other]\nversion = 5\n',
    ),
    (
        '  [ package ]  # c\nname = "g"\nauthor = "c"',
        '  [ package ]  # c\nversion = 2\nname = "g"\nauthor = "c"',
    ),
    (
        '# top\n[other]\nversion = 5\n[package]\nname = "g"\nauthor = "c"\nversion=1\n',
        '# top\n[other]\nversion = 5\n[package]\nname = "g"\nauthor = "c"\nversion = 2\n',
    ),
    (
        '[package]\r\nname = "g"\r\nauthor = "c"\r\n',
        '[package]\r\nversion = 2\r\nname = "g"\r\nauthor = "c"\r\n',
    ),
    (
        '[package]\r\nname = "g"\r\nversion = "0"\r\nauthor = "c"\r\n[other]\r\nversion = 5\r\n',
        '[package]\r\nname = "g"\r\nversion = 2\r\nauthor = "c"\r\n[other]\r\nversion = 5\r\n',
    ),
]

FORMS = [
    'package = { name = "g", author = "c" }\n',
    'package = { name = "g", version = "1", author = "c" }',
    'package.name = "g"\npackage.author = "c"\n',
    'package.name = "g"\npackage.version = "1"\npackage.author = "c"\n',
    '["package"]\nname = "g"\nauthor = "c"\n',
    "['package']\nname = \"g\"\n'author' = \"c\"\n",
    '[package]\nname = "g"\nauthor = "c"\n"version" = "1"\n',
    "[package]\nname = \"g\"\nauthor = \"c\"\n'version' = '''\n1\n2'''\n",
    '[package]\nname = "g"\nauthor = "c"\nversion = [\n1,\n[2],\n]\n',
    '[package]\nname = "g"\nauthor = "c"\nversion = [\n  "a", # ]\n  "[package]",\n]\n[x]\ny = 1\n',
    '[package]\nname = "g"\nauthor = "c"\ntext = """\n[package]\nversion = 9\n"""\n',
    '[package]\nname = "g"\nauthor = "c"\n[package.version]\nmajor = 1\n',
    '[package]\nname = "g"\nauthor = "c"\nversion.major = 1\nversion.minor = 2\n',
    '[other]\ntext = """\n[package]\n"""\n[package]\nname = "g"\nauthor = "c"\n',
    '[package.deep]\nversion = 7\n[package]\nname = "g"\nauthor = "c"\n',
    '[other]\n[other.package]\nversion = 5\n[package]\nauthor = "c"\nname = "g"\n',
    '[package]\r\nname = "g"\nauthor = "c"\r\n',
    '[package]\nname = "g"\nauthor = "c"\nwhen = 1979-05-27T07:32:00Z\nn = nan\ni = -inf\n',
    '[package]#\nname = "g"\nauthor = "c"#',
    '[package]\n"na\\u006de" = "g"\nauthor = "c"\nversio = 1\nversions = 2\n',
    '[[files]]\nversion = 1\n[[files]]\nversion = 2\n[package]\nname="g"\nauthor="c"\n',
]


def member(name, content=b"x", **known):
    info = zipfile.ZipInfo(name, known.pop("date", (2001, 2, 3, 4, 5, 6)))
    info.external_attr = known.pop("mode", stat.S_IFREG | 0o644) << 16
    info.create_system = 3
    info.compress_type = known.pop("compression", zipfile.ZIP_DEFLATED)
    info.comment = known.pop("comment", b"")
    return info, content


def archive_of(*members, comment=b""):
    """An archive of a manifest and these (info, content) pairs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("package.toml", manifest("widget"))
        for info, content in members:
            archive.writestr(info, content)
        archive.comment = comment
    return buffer.getvalue()


def infos(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info.filename: info for info in archive.infolist()}


class TestStamp:
    @pytest.mark.parametrize(("uploaded", "stored"), STAMPED)
    def test_the_usual_form_is_stamped_byte_for_byte(self, acme, uploaded, stored):
        archive = make_zip({"package.toml": uploaded})
        acme.publish("g", archive)
        acme.publish("g", archive)
        assert read_zip(acme.download("g", 2))["package.toml"].decode() == stored
        first = read_zip(acme.download("g", 1))["package.toml"].decode()
        assert first == stored.replace("version = 2", "version = 1")

    @pytest.mark.parametrize("uploaded", FORMS)
    def test_every_other_form_stays_the_same_document(self, acme, uploaded):
        acme.publish("g", make_zip({"package.toml": uploaded}))
        stored = read_zip(acme.download("g", 1))["package.toml"].decode()
        expected = tomllib.loads(uploaded, parse_float=str)
        expected["package"]["version"] = 1
        assert tomllib.loads(stored, parse_float=str) == expected

    def test_a_download_that_is_published_again_is_stamped_in_place(self, acme):
        acme.publish("widget")
        acme.publish("widget", acme.download("widget", 1))
        first, second = (read_zip(acme.download("widget", number)) for number in (1, 2))
        assert list(first) == list(second)
        assert second["package.toml"] == first["package.toml"].replace(
            b"version = 1", b"version = 2"
        )


class TestRepack:
    def test_what_is_not_ours_is_kept_with_all_that_is_known_of_it(self, acme):
        uploaded = archive_of(
            member("bin/", b"", mode=stat.S_IFDIR | 0o755),
            member("bin/run", b"#!/bin/sh\n", mode=stat.S_IFREG | 0o755, comment=b"a comment"),
            member("stored", b"y" * 5000, compression=zipfile.ZIP_STORED),
            member("empty/", b"", mode=stat.S_IFDIR | 0o700),
            member("日本.txt", "ü".encode(), date=(2020, 12, 31, 23, 59, 58)),
            member("nothing", b""),
        )
        acme.publish("widget", uploaded)
        stored = acme.download("widget", 1)
        before, after = infos(uploaded), infos(stored)
        assert list(after) == [*before, "HISTORY.md"]
        kept = ("date_time", "external_attr", "comment", "compress_type", "CRC", "file_size")
        for name, info in before.items():
            if name != "package.toml":
                assert [getattr(after[name], each) for each in kept] == [
                    getattr(info, each) for each in kept
                ]
        contents, originals = read_zip(stored), read_zip(uploaded)
        assert all(contents[name] == originals[name] for name in before if name != "package.toml")

    @pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_the_compression_of_a_member_stays(self, acme, compression):
        acme.publish("widget", archive_of(member("x", b"z" * 999, compression=compression)))
        assert infos(acme.download("widget", 1))["x"].compress_type == compression

    @pytest.mark.parametrize("name", ["HISTORY.md", "history.md", "History.MD"])
    def test_the_history_is_replaced_in_its_place(self, acme, name):
        uploaded = make_zip({name: "old", "package.toml": manifest("widget"), "z": ""})
        acme.publish("widget", uploaded)
        members = read_zip(acme.download("widget", 1))
        assert list(members) == ["HISTORY.md", "package.toml", "z"]
        assert members["HISTORY.md"].startswith(b"# Package History: widget\n")

    def test_so_it_is_in_the_top_folder(self, acme):
        uploaded = make_zip(
            {"w/history.md": "old", "w/package.toml": manifest("widget"), "w/docs/HISTORY.md": "my"}
        )
        acme.publish("widget", uploaded)
        members = read_zip(acme.download("widget", 1))
        assert list(members) == ["w/HISTORY.md", "w/package.toml", "w/docs/HISTORY.md"]
        assert members["w/HISTORY.md"].startswith(b"# Package History: widget\n")
        assert members["w/docs/HISTORY.md"] == b"my"

    @pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"# Package History: \xff", b"\0" * 99])
    def test_a_history_that_cannot_be_read_is_replaced(self, acme, content):
        uploaded = make_zip({"package.toml": manifest("widget"), "HISTORY.md": content})
        assert acme.publish("widget", uploaded)["forked_from"] is None
        assert b"### Version 1\n" in read_zip(acme.download("widget", 1))["HISTORY.md"]

    def test_the_comment_of_the_archive_is_dropped(self, acme):
        acme.publish("widget", archive_of(comment=b"look at me"))
        assert b"look at me" not in acme.download("widget", 1)

    def test_bytes_before_the_archive_are_dropped(self, acme):
        acme.publish("widget", b"#!/bin/sh look at me\n" + package_zip("widget"))
        stored = acme.download("widget", 1)
        assert b"look at me" not in stored
        assert stored.startswith(b"PK")

    def test_bytes_after_the_archive_are_dropped(self, acme):
        acme.publish("widget", package_zip("widget") + b"\nlook at me")
        stored = acme.download("widget", 1)
        assert b"look at me" not in stored
        assert list(read_zip(stored)) == ["package.toml", "readme", "HISTORY.md"]

    def test_members_of_unknown_size_as_streams_write_them_are_read(self, acme):
        class Unseekable(io.RawIOBase):
            def __init__(self):
                self.data = bytearray()

            def writable(self):
                return True

            def write(self, data):
                self.data += data
                return len(data)

        target = Unseekable()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("package.toml", manifest("widget"))
            archive.writestr("x", b"y" * 1000)
        acme.publish("widget", bytes(target.data))
        assert read_zip(acme.download("widget", 1))["x"] == b"y" * 1000

    def test_the_hash_is_that_of_the_bytes_that_a_download_returns(self, acme):
        for _ in range(3):
            version = acme.publish("widget")
            data = acme.download("widget", version["version"])
            assert version["content_hash"] == "sha256:" + hashlib.sha256(data).hexdigest()
            assert version["size"] == len(data)

    def test_bytes_are_stable(self, acme):
        acme.publish("widget")
        first = acme.download("widget", 1)
        acme.publish("widget")
        acme.delete("/api/packages/widget/versions/2", 200)
        assert acme.download("widget", 1) == first

    def test_an_archive_of_only_a_manifest_is_fine(self, acme):
        acme.publish("widget", make_zip({"package.toml": manifest("widget")}))
        assert list(read_zip(acme.download("widget", 1))) == ["package.toml", "HISTORY.md"]


def patched(data, signature, offset, value):
    """`data` with two bytes changed in every record of that signature."""
    data, at = bytearray(data), 0
    while (at := data.find(signature, at)) >= 0:
        struct.pack_into("<H", data, at + offset, value)
        at += 4
    return bytes(data)


def every(data, local, central, value):
    return patched(patched(data, b"PK\3\4", local, value), b"PK\1\2", central, value)


def twice():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("package.toml", manifest("widget"))
        archive.writestr("evil", "1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("evil", "2")
    return buffer.getvalue()


def wrong_crc():
    data = archive_of(member("evil", b"q" * 50, compression=zipfile.ZIP_STORED))
    return data.replace(b"q" * 50, b"q" * 49 + b"r")


HOSTILE = {
    "parent": lambda: archive_of(member("../evil")),
    "deep parent": lambda: archive_of(member("a/../../evil")),
    "absolute": lambda: archive_of(member("/evil")),
    "drive": lambda: archive_of(member("C:/evil")),
    "link": lambda: archive_of(member("evil", b"/etc/passwd", mode=stat.S_IFLNK | 0o777)),
    "device": lambda: archive_of(member("evil", b"", mode=stat.S_IFCHR | 0o666)),
    "pipe": lambda: archive_of(member("evil", b"", mode=stat.S_IFIFO | 0o666)),
    "twice": twice,
    "case": lambda: archive_of(member("evil"), member("EVIL")),
    "normal form": lambda: archive_of(member("évil"), member(unicodedata.normalize("NFD", "évil"))),
    "file and folder": lambda: archive_of(member("evil"), member("evil/x")),
    "wrong checksum": wrong_crc,
    "unknown compression": lambda: every(archive_of(member("evil")), 8, 10, 99),
    "encrypted": lambda: every(archive_of(member("evil")), 6, 8, 1),
    "backslash": lambda: archive_of(member("x")).replace(b"x", b"\\"),
    "bomb": lambda: archive_of(member("evil", b"\0" * 20 * 1024**2)),
    "long name": lambda: archive_of(member("evil" * 1000)),
    "deep": lambda: archive_of(member("evil/" * 200 + "x")),
    "too many": lambda: make_zip(
        {"package.toml": manifest("widget"), **{f"{n}": "" for n in range(10_001)}}
    ),
}


class TestHostile:
    @pytest.mark.parametrize("kind", HOSTILE)
    def test_an_archive_that_could_hurt_is_refused(self, acme, kind):
        answer = acme.publish("widget", HOSTILE[kind](), 400)
        assert list(answer) == ["detail"]
        assert answer["detail"].startswith("invalid package - ")
        assert acme.get("/api/packages").json == []

    @pytest.mark.parametrize(
        "kind", ["parent", "absolute", "link", "twice", "case", "wrong checksum", "bomb"]
    )
    def test_the_refusal_names_the_member(self, acme, kind):
        assert "evil" in acme.publish("widget", HOSTILE[kind](), 400)["detail"].casefold()

    def test_a_member_that_overlaps_another_is_refused(self, acme):
        data = archive_of(member("a", b"1" * 50), member("b", b"2" * 50))
        second = data.rindex(b"PK\1\2")
        first = data.rindex(b"PK\1\2", 0, second)
        bent = bytearray(data)
        bent[second + 42 : second + 46] = data[first + 42 : first + 46]
        assert "detail" in acme.publish("widget", bytes(bent), 400)

    @pytest.mark.parametrize("name", ["..dots", "...", "a/..b", ".hidden", "a b", "ünï", "~", "-x"])
    def test_names_that_only_look_odd_are_kept(self, acme, name):
        acme.publish("widget", archive_of(member(name)))
        assert read_zip(acme.download("widget", 1))[name] == b"x"
