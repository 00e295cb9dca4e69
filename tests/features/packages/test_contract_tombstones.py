"""Tombstones and cascades: section 10."""

import re

import pytest

from tests.support.archives import package_zip
from tests.support.contract import NO_PACKAGE, NO_VERSION, VERSION_FIELDS, assert_refused

WIDGET = "/api/packages/widget"
VERSIONS = f"{WIDGET}/versions"
VERSION = f"{VERSIONS}/1"
NO_REASON = [b"", b"{}", b'{"reason":null}', b'{"reason":""}', b"[]", b'"x"', b"1", b"null"]


def versions(client):
    return client.get(VERSIONS).json


def delete(client, path, body, status="*", content_type="application/json"):
    return client.call("DELETE", path, body, content_type=content_type, status=status)


class TestVersion:
    @pytest.mark.backend
    def test_the_bytes_go_and_the_rest_stays(self, acme):
        archive = package_zip("widget", "alice")
        before = acme.publish("widget", archive, summary="msg", description="more")
        after = acme.send_json("DELETE", VERSION, {"reason": "bad build", "other": 1}).json
        gone = {"download_url": None, "tombstoned": True, "tombstone_reason": "bad build"}
        assert after == before | gone
        assert list(after)[:11] == VERSION_FIELDS
        assert acme.get(VERSION).json == after
        assert versions(acme) == [after]
        assert acme.get("/api/organisation").json["stored_bytes"] == 0
        download = acme.get(f"{VERSION}/download", 410)
        assert list(download.json) == [
            *("detail", "package", "version", "author", "date", "summary", "tombstone_reason"),
            "tombstoned_at",
        ]
        assert download.json["detail"] == "tombstoned"
        assert download.json.items() > {k: after[k] for k in list(download.json)[1:-1]}.items()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", download.json["tombstoned_at"])
        assert download.headers["Content-Type"] == "application/json"
        assert acme.call("HEAD", f"{VERSION}/download").status_int == 410

    def test_a_reason_is_optional(self, acme):
        for number, body in enumerate(NO_REASON, 1):
            acme.publish("widget")
            response = delete(acme, f"{VERSIONS}/{number}", body, 200)
            assert response.json["tombstone_reason"] == ""

    @pytest.mark.backend
    def test_a_reason_that_is_no_text_does_not_break_anything(self, acme):
        for number, reason in enumerate((1, True, ["x"], {"x": 1}, "a\0b", "\ud800"), 1):
            acme.publish("widget")
            path = f"{VERSIONS}/{number}"
            response = acme.send_json("DELETE", path, {"reason": reason}, "*")
            assert response.status_int in {200, 400}
            assert acme.get(path).json["tombstoned"] == (response.status_int == 200)

    def test_a_second_time_is_410_and_there_is_no_way_back(self, acme):
        acme.publish("widget")
        acme.send_json("DELETE", VERSION, {"reason": "first"})
        for body in (b"", b"{", b'{"reason":"second"}'):
            assert_refused(delete(acme, VERSION, body), 410, "version already tombstoned")
        acme.publish("widget")
        assert acme.get(VERSION).json["tombstone_reason"] == "first"
        acme.get(f"{VERSION}/download", 410)

    def test_what_is_not_there_is_404_whatever_the_body(self, acme):
        acme.publish("widget")
        for kind in ("text/plain", "application/json"):
            for path in (f"{VERSIONS}/2", "/api/packages/nothing/versions/1"):
                assert_refused(delete(acme, path, b"{", content_type=kind), 404, NO_VERSION)
            response = delete(acme, "/api/packages/nothing", b"{", content_type=kind)
            assert_refused(response, 404, NO_PACKAGE)

    @pytest.mark.backend
    def test_its_aliases_go_with_it(self, acme):
        acme.publish("widget")
        acme.publish("widget")
        for alias, number in (("old", 1), ("older", 1), ("new", 2)):
            acme.send_json("PUT", f"{WIDGET}/aliases/{alias}", {"version": number})
        acme.delete(VERSION, 200)
        names = [each["name"] for each in acme.get(f"{WIDGET}/aliases").json]
        assert names == ["latest", "new"]


class TestCascade:
    @pytest.fixture
    def widget(self, acme):
        """A client whose organisation has three versions, the first tombstoned, and an alias."""
        for _ in range(3):
            acme.publish("widget")
        acme.send_json("DELETE", VERSION, {"reason": "earlier"})
        acme.send_json("PUT", f"{WIDGET}/aliases/stable", {"version": 2})
        return acme

    @pytest.mark.backend
    def test_every_live_version_goes_and_earlier_reasons_stay(self, widget):
        kept = widget.publish("gadget")["size"]
        response = widget.send_json("DELETE", WIDGET, {"reason": "all of it"}, 204)
        assert response.body == b""
        found = versions(widget)
        assert [each["tombstone_reason"] for each in found] == ["all of it"] * 2 + ["earlier"]
        assert all(each["tombstoned"] and each["download_url"] is None for each in found)
        assert widget.get(f"{WIDGET}/aliases").json == []
        for number in (1, 2, 3):
            widget.get(f"{VERSIONS}/{number}/download", 410)
        assert widget.get("/api/organisation").json["stored_bytes"] == kept
        widget.send_json("DELETE", WIDGET, {"reason": "again"}, 204)
        assert versions(widget) == found

    def test_there_is_a_reason_in_any_case_and_an_empty_package_can_go_too(self, acme):
        for body in NO_REASON:
            acme.publish("widget")
            delete(acme, WIDGET, body, 204)
            assert versions(acme)[0]["tombstone_reason"] == "package tombstoned"
        acme.send_json("POST", "/api/packages", {"name": "empty"}, 201)
        for _ in range(2):
            acme.delete("/api/packages/empty")

    @pytest.mark.backend
    def test_the_package_stays_readable_and_publishing_goes_on(self, widget):
        widget.delete(WIDGET)
        [item] = widget.get("/api/packages").json
        assert (item["name"], item["versions_count"], item["archived"]) == ("widget", 3, True)
        assert item["latest_version"]["version"] == 3
        assert item["latest_live_version"] is None
        assert len(widget.get(WIDGET).json["versions"]) == 3
        assert "### Version 3 (tombstoned)" in widget.get(f"{WIDGET}/history").text
        assert widget.publish("widget")["version"] == 4
        [alias] = widget.get(f"{WIDGET}/aliases").json
        assert (alias["name"], alias["version"]) == ("latest", 4)
        [item] = widget.get("/api/packages").json
        assert (item["archived"], item["latest_live_version"]["version"]) == (False, 4)
