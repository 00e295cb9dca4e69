"""Bytes over HTTP: headers, validators, ranges, digests: sections 5 and D34."""

import base64
import hashlib

import pytest

from hubrepo.kernel.accounts import Organisation
from tests.support.archives import package_zip
from tests.support.contract import assert_refused

PATH = "/api/packages/widget/versions/1/download"
LATEST = "/api/packages/widget/latest"


@pytest.fixture(scope="module")
def widget(hub):
    """A client whose organisation has `widget` with version 1."""
    client = hub.organisation()
    client.publish("widget", package_zip("widget", blob=bytes(range(256)) * 8))
    return client


@pytest.fixture(scope="module")
def whole(widget):
    """The answer to a plain GET of it."""
    return widget.get(PATH)


class TestHeaders:
    @pytest.mark.backend
    def test_a_download_is_a_zip_to_save(self, widget, whole):
        assert whole.headers["Content-Type"] == "application/zip"
        assert whole.headers["Content-Length"] == str(len(whole.body))
        assert whole.headers["Content-Disposition"] == 'attachment; filename="widget-v1.zip"'
        latest = widget.get(LATEST)
        for name in ("Content-Type", "Content-Length", "Content-Disposition", "ETag"):
            assert latest.headers[name] == whole.headers[name]
        assert latest.body == whole.body

    def test_any_name_can_be_saved(self, acme):
        acme.publish("ünï")
        for path in ("versions/1/download", "latest"):
            headers = acme.get(f"/api/packages/ünï/{path}").headers
            filename = "filename*=utf-8''%C3%BCn%C3%AF-v1.zip"
            assert headers["Content-Disposition"] == f"attachment; {filename}"

    def test_a_version_may_be_kept_for_ever_and_latest_may_not(self, widget, whole):
        caching = whole.headers["Cache-Control"]
        assert {"private", "immutable"} <= set(caching.replace(" ", "").split(","))
        assert "no-cache" in widget.get(LATEST).headers["Cache-Control"]

    def test_the_digest_is_that_of_the_whole(self, widget, whole):
        digest = base64.b64encode(hashlib.sha256(whole.body).digest()).decode()
        assert whole.headers["Repr-Digest"] == f"sha-256=:{digest}:"
        part = widget.get(PATH, 206, headers={"Range": "bytes=0-0"})
        assert part.headers["Repr-Digest"] == whole.headers["Repr-Digest"]

    def test_the_tag_is_strong_and_tells_bytes_apart(self, acme):
        tags = []
        for _ in range(2):
            acme.publish("widget")
            tags.append(acme.get(LATEST).headers["ETag"])
        assert all(tag.startswith('"') and tag.endswith('"') for tag in tags)
        assert tags[0] != tags[1]

    @pytest.mark.backend
    def test_missing_or_truncated_bytes_are_404_and_not_half_an_archive(self, acme):
        acme.publish("widget")
        digest = acme.get("/api/packages/widget").json["versions"][0]["content_hash"][7:]
        with acme.hub.registry.database.read() as db:
            guid = db.query(Organisation.guid).filter_by(slug=acme.slug).scalar()
        store, key = acme.hub.registry.stores.main, f"{guid.hex}/{digest[:2]}/{digest[2:]}"
        store.delete(key)
        assert_refused(acme.get(PATH, 404), 404, "zip not found on disk")
        stage = store.stage()
        stage.write(b"PK half of it")
        store.promote(stage, key)
        assert_refused(acme.get(PATH, 404), 404, "zip not found on disk")
        assert acme.get("/api/packages/widget/versions/1").json["tombstoned"] is False


class TestConditions:
    def test_who_has_it_hears_304(self, widget, whole):
        for template in ("{}", "*", 'W/{}, "x"', '"x", {}', "  {}  "):
            tag = template.format(whole.headers["ETag"])
            for method, path in (("GET", PATH), ("HEAD", PATH), ("GET", LATEST)):
                response = widget.call(method, path, headers={"If-None-Match": tag}, status=304)
                assert response.body == b""
                assert response.headers["ETag"] == whole.headers["ETag"]

    def test_who_has_another_hears_200(self, widget, whole):
        bare = whole.headers["ETag"].strip('"')
        for tag in ('"x"', "x", "", '""', "W/", '"', ",,,", f"{bare}x"):
            assert widget.get(PATH, 200, headers={"If-None-Match": tag}).body == whole.body

    def test_a_condition_goes_before_a_range_and_a_tombstone_before_both(self, acme):
        acme.publish("widget")
        sent = {"If-None-Match": acme.get(PATH).headers["ETag"], "Range": "bytes=0-3"}
        acme.get(PATH, 304, headers=sent)
        acme.delete("/api/packages/widget/versions/1", 200)
        for name, value in sent.items():
            acme.get(PATH, 410, headers={name: value})


class TestRanges:
    @pytest.mark.backend
    def test_a_part_is_206(self, widget, whole):
        size = len(whole.body)
        for path in (PATH, LATEST):
            for header, start, stop in (
                ("bytes=0-0", 0, 1),
                ("bytes=10-19", 10, 20),
                ("bytes=10-", 10, size),
                ("bytes=-5", size - 5, size),
                ("bytes=0-999999999", 0, size),
                ("bytes=-999999999", 0, size),
            ):
                response = widget.get(path, 206, headers={"Range": header})
                assert response.body == whole.body[start:stop]
                assert response.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{size}"
                assert response.headers["Content-Length"] == str(stop - start)
                assert response.headers["ETag"] == whole.headers["ETag"]

    def test_a_part_behind_the_end_is_416(self, widget, whole):
        size = len(whole.body)
        for header in (f"bytes={size}-", f"bytes={size}-{size + 9}", "bytes=-0", "bytes=99999999-"):
            response = widget.get(PATH, 416, headers={"Range": header})
            assert response.headers["Content-Range"] == f"bytes */{size}"
            assert list(response.json) == ["detail"]

    def test_what_is_no_range_is_ignored(self, widget, whole):
        for header in (
            "",
            "x",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=2-1",
            "items=0-3",
            "bytes=a-b",
        ):
            assert widget.get(PATH, 200, headers={"Range": header}).body == whole.body
        widget.get("/api/packages", 200, headers={"Range": "bytes=0-0"})

    def test_a_range_applies_only_while_the_bytes_are_the_same(self, widget, whole):
        tag, date = whole.headers["ETag"], whole.headers.get("Last-Modified")
        for if_range in ('"x"', "W/" + tag, "x", "Thu, 01 Jan 1970 00:00:00 GMT"):
            widget.get(PATH, 200, headers={"Range": "bytes=0-3", "If-Range": if_range})
        for if_range in (tag, *([date] if date else [])):
            widget.get(PATH, 206, headers={"Range": "bytes=0-3", "If-Range": if_range})

    def test_a_history_has_parts_as_well(self, widget):
        text = widget.get("/api/packages/widget/history").body
        part = widget.get("/api/packages/widget/history", 206, headers={"Range": "bytes=2-8"})
        assert part.body == text[2:9] == b"Package"
