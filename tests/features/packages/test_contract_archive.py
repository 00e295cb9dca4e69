"""What publishing does to an archive, and which archives it refuses: section 6 and D4, D5, D21, D22.

How a manifest is stamped is tested in test_manifest.py, and what is a hostile archive in
tests/kernel/archives.
"""

import hashlib
import io
import stat
import struct
import zipfile

import pytest

from tests.support.archives import make_zip, manifest, package_zip, read_zip

OURS = manifest("widget")
VENDORED = manifest("vendored", "eve")


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
        archive.writestr("package.toml", OURS)
        for info, content in members:
            archive.writestr(info, content)
        archive.comment = comment
    return buffer.getvalue()


def infos(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info.filename: info for info in archive.infolist()}


def stored(client, archive, name="widget"):
    """The archive that is kept of an upload."""
    return client.download(name, client.publish(name, archive)["version"])


def test_a_manifest_is_stamped_and_stays_the_same_document(acme):
    for number, template in enumerate(
        (
            '[package]\nname = "g"\nversion = {} # x\nauthor = "c"\n\n[other]\nversion = 5\n',
            '[package]\r\nversion = {}\r\nname = " g "\r\nauthor = "c"\r\n',
            'package = {version = {}, name = "g", author = "c"}',
        ),
        1,
    ):
        uploaded = make_zip({"package.toml": template.replace("{}", '"1.2"')})
        members = read_zip(stored(acme, uploaded, "g"))
        expected = template.replace("{}", str(number)).replace(" # x", "")
        assert members["package.toml"].decode() == expected
        assert list(members) == ["package.toml", "HISTORY.md"]
    named = make_zip({"package.toml": '[package]\nname = 7\nauthor = "a"\n'})
    assert acme.publish("7", named)["package"] == "7"


@pytest.mark.parametrize(
    ("uploaded", "kept"),
    [
        ({"PACKAGE.TOML": OURS, "readme": "x"}, "package.toml readme HISTORY.md"),
        (
            {"sub/package.toml/": "", "Package.toml": OURS},
            "sub/package.toml/ package.toml HISTORY.md",
        ),
        (
            {"sub/package.toml": VENDORED, "docs/history.md": "mine", "package.toml": OURS},
            "sub/package.toml docs/history.md package.toml HISTORY.md",
        ),
        (
            {"w/": "", "w/Package.toml": OURS, "w/lib/package.toml": VENDORED, "w/readme": "x"},
            "w/ w/package.toml w/lib/package.toml w/readme HISTORY.md",
        ),
        ({"history.MD": "old", "package.toml": OURS, "z": ""}, "HISTORY.md package.toml z"),
        (
            {"w/history.md": "old", "w/package.toml": OURS, "w/docs/HISTORY.md": "mine"},
            "w/HISTORY.md w/package.toml w/docs/HISTORY.md",
        ),
    ],
)
def test_manifest_and_history_are_replaced_in_the_one_right_place(acme, uploaded, kept):
    data = stored(acme, make_zip(uploaded))
    members = read_zip(data)
    assert list(members) == kept.split()
    for name, content in members.items():
        if name in ("package.toml", "w/package.toml"):
            assert content.decode() == OURS.replace("[package]\n", "[package]\nversion = 1\n")
        elif name in ("HISTORY.md", "w/HISTORY.md"):
            assert content.startswith(b"# Package History: widget\n")
        else:
            assert content.decode() == uploaded[name]
    again = read_zip(stored(acme, data))
    assert list(again) == list(members)
    place = next(name for name in ("package.toml", "w/package.toml") if name in members)
    assert again[place] == members[place].replace(b"version = 1", b"version = 2")


@pytest.mark.backend
def test_what_is_not_ours_is_kept_with_all_that_is_known_of_it(acme):
    uploaded = archive_of(
        member("bin/", b"", mode=stat.S_IFDIR | 0o755),
        member("bin/run", b"#!/bin/sh\n", mode=stat.S_IFREG | 0o755, comment=b"a comment"),
        member("stored", b"y" * 5000, compression=zipfile.ZIP_STORED),
        member("empty/", b"", mode=stat.S_IFDIR | 0o700),
        member("日本.txt", "ü".encode(), date=(2020, 12, 31, 23, 59, 58)),
        member("nothing", b""),
        *map(member, ("..dots", "...", "a/..b", ".hidden", "a b", "ünï", "~", "-x")),
    )
    data = stored(acme, uploaded)
    before, after = infos(uploaded), infos(data)
    assert list(after) == [*before, "HISTORY.md"]
    contents, originals = read_zip(data), read_zip(uploaded)
    kept = ("date_time", "external_attr", "comment", "compress_type", "CRC", "file_size")
    for name in originals.keys() - {"package.toml"}:
        for each in kept:
            assert getattr(after[name], each) == getattr(before[name], each)
        assert contents[name] == originals[name]


def test_a_history_that_cannot_be_read_is_replaced(acme):
    for number, content in enumerate((b"\xff\xfe", b"", b"# Package History: \xff", b"\0" * 99)):
        name = f"p{number}"
        uploaded = make_zip({"package.toml": manifest(name), "HISTORY.md": content})
        assert acme.publish(name, uploaded)["forked_from"] is None
        assert b"### Version 1\n" in read_zip(acme.download(name, 1))["HISTORY.md"]


def test_the_comment_of_the_archive_and_bytes_around_it_are_dropped(acme):
    plain = package_zip("widget")
    for uploaded in (
        archive_of(comment=b"look at me"),
        b"#!/bin/sh look at me\n" + plain,
        plain + b"\nlook at me",
    ):
        data = stored(acme, uploaded)
        assert b"look at me" not in data
        assert data.startswith(b"PK")
        assert read_zip(data)


@pytest.mark.backend
def test_the_hash_is_that_of_the_bytes_that_a_download_returns_and_bytes_are_stable(acme):
    downloads = []
    for number in (1, 2, 3):
        version = acme.publish("widget")
        data = acme.download("widget", number)
        assert version["content_hash"] == "sha256:" + hashlib.sha256(data).hexdigest()
        assert version["size"] == len(data)
        downloads.append(data)
    acme.delete("/api/packages/widget/versions/2", 200)
    assert [acme.download("widget", number) for number in (1, 3)] == downloads[::2]


def encrypted():
    data = bytearray(archive_of(member("evil")))
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        struct.pack_into("<H", data, data.rindex(signature) + offset, 1)
    return bytes(data)


def wrong_checksum():
    data = archive_of(member("evil", b"q" * 50, compression=zipfile.ZIP_STORED))
    return data.replace(b"q" * 50, b"q" * 49 + b"r")


def test_an_archive_that_could_hurt_is_refused_by_the_name_of_the_member(acme):
    for archive in (
        archive_of(member("../evil")),
        archive_of(member("/evil")),
        archive_of(member("evil", b"/etc/passwd", mode=stat.S_IFLNK | 0o777)),
        archive_of(member("evil"), member("EVIL")),
        archive_of(member("HISTORY.md/evil")),
        archive_of(member("evil", b"\0" * 20 * 1024**2)),
        encrypted(),
        wrong_checksum(),
    ):
        answer = acme.publish("widget", archive, 400)
        assert list(answer) == ["detail"]
        assert answer["detail"].startswith("invalid package - ")
        assert "evil" in answer["detail"].casefold()
    crowd = make_zip({"package.toml": OURS} | {str(number): "" for number in range(10_001)})
    assert acme.publish("widget", crowd, 400)["detail"].startswith("invalid package - ")
    assert acme.get("/api/packages").json == []
