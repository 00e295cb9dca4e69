"""Tombstones and cascades: section 10."""

import re

import pytest

from tests.support.archives import package_zip
from tests.support.contract import NO_PACKAGE, NO_VERSION, VERSION_FIELDS, assert_refused

VERSION = "/api/packages/widget/versions/1"
NO_REASON = [b"", b"{}", b'{"reason":null}', b'{"reason":""}', b"[]", b'"x"', b"1", b"null"]


def versions(client, name="widget"):
    return client.get(f"/api/packages/{name}/versions").json


class TestVersion:
    def test_the_bytes_go_and_the_rest_stays(self, acme):
        before = acme.publish("widget", summary="msg", description="more")
        after = acme.send_json("DELETE", VERSION, {"reason": "bad build"}).json
        gone = {"download_url": None, "tombstoned": True, "tombstone_reason": "bad build"}
        assert after == before | gone
        assert list(after)[:11] == VERSION_FIELDS
        assert acme.get(VERSION).json == after
        assert versions(acme) == [after]

    def test_the_download_tells_what_it_was(self, acme):
        before = acme.publish("widget", package_zip("widget", "alice"), summary="msg 3")
        acme.send_json("DELETE", VERSION, {"reason": "bad build"})
        gone = acme.get(f"{VERSION}/download", 410)
        assert list(gone.json.items())[:-1] == [
            ("detail", "tombstoned"),
            ("package", "widget"),
            ("version", 1),
            ("author", "alice"),
            ("date", before["date"]),
            ("summary", "msg 3"),
            ("tombstone_reason", "bad build"),
        ]
        assert list(gone.json)[-1] == "tombstoned_at"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", gone.json["tombstoned_at"])
        assert gone.headers["Content-Type"] == "application/json"
        assert acme.call("HEAD", f"{VERSION}/download").status_int == 410

    @pytest.mark.parametrize("body", NO_REASON)
    def test_a_reason_is_optional(self, acme, body):
        acme.publish("widget")
        response = acme.call("DELETE", VERSION, body, content_type="application/json", status=200)
        assert response.json["tombstone_reason"] == ""

    @pytest.mark.parametrize("reason", [" padded ", "two\nlines", "日本", "x" * 512])
    def test_a_reason_is_kept_as_sent(self, acme, reason):
        acme.publish("widget")
        response = acme.send_json("DELETE", VERSION, {"reason": reason, "other": 1})
        assert response.json["tombstone_reason"] == reason

    @pytest.mark.parametrize("reason", [1, True, ["x"], {"x": 1}, "a\0b", "\ud800"])
    def test_a_reason_that_is_no_text_does_not_break_anything(self, acme, reason):
        acme.publish("widget")
        response = acme.send_json("DELETE", VERSION, {"reason": reason}, "*")
        assert response.status_int in {200, 400}
        assert acme.get(VERSION).json["tombstoned"] == (response.status_int == 200)

    def test_a_second_time_is_410(self, acme):
        acme.publish("widget")
        acme.send_json("DELETE", VERSION, {"reason": "first"})
        for body in (b"", b"{", b'{"reason":"second"}'):
            response = acme.call("DELETE", VERSION, body, content_type="application/json")
            assert_refused(response, 410, "version already tombstoned")
        assert acme.get(VERSION).json["tombstone_reason"] == "first"

    @pytest.mark.parametrize("content_type", ["text/plain", "application/json"])
    def test_what_is_not_there_is_404_whatever_the_body(self, acme, content_type):
        acme.publish("widget")
        for path in ("/api/packages/widget/versions/2", "/api/packages/nothing/versions/1"):
            response = acme.call("DELETE", path, b"{", content_type=content_type)
            assert_refused(response, 404, NO_VERSION)

    def test_its_aliases_go_with_it(self, acme):
        acme.publish("widget")
        acme.publish("widget")
        for alias, number in (("old", 1), ("older", 1), ("new", 2)):
            acme.send_json("PUT", f"/api/packages/widget/aliases/{alias}", {"version": number})
        acme.delete(VERSION, 200)
        names = [each["name"] for each in acme.get("/api/packages/widget/aliases").json]
        assert names == ["latest", "new"]

    def test_its_bytes_are_no_longer_counted(self, acme):
        acme.publish("widget")
        assert acme.get("/api/organisation").json["stored_bytes"] > 0
        acme.delete(VERSION, 200)
        assert acme.get("/api/organisation").json["stored_bytes"] == 0

    def test_there_is_no_way_back(self, acme):
        acme.publish("widget")
        acme.delete(VERSION, 200)
        acme.publish("widget")
        assert acme.get(VERSION).json["tombstoned"] is True
        acme.get(f"{VERSION}/download", 410)


class TestCascade:
    @pytest.fixture
    def widget(self, acme):
        """A client whose organisation has three versions, the first tombstoned, and an alias."""
        for _ in range(3):
            acme.publish("widget")
        acme.send_json("DELETE", VERSION, {"reason": "earlier"})
        acme.send_json("PUT", "/api/packages/widget/aliases/stable", {"version": 2})
        return acme

    def test_every_live_version_goes_and_earlier_reasons_stay(self, widget):
        response = widget.send_json("DELETE", "/api/packages/widget", {"reason": "all of it"}, 204)
        assert response.body == b""
        found = versions(widget)
        assert [each["tombstone_reason"] for each in found] == ["all of it"] * 2 + ["earlier"]
        assert all(each["tombstoned"] and each["download_url"] is None for each in found)
        assert widget.get("/api/packages/widget/aliases").json == []
        for number in (1, 2, 3):
            widget.get(f"/api/packages/widget/versions/{number}/download", 410)

    @pytest.mark.parametrize("body", NO_REASON)
    def test_there_is_a_reason_in_any_case(self, widget, body):
        widget.call(
            "DELETE", "/api/packages/widget", body, content_type="application/json", status=204
        )
        assert versions(widget)[0]["tombstone_reason"] == "package tombstoned"

    def test_it_is_204_however_often_and_of_an_empty_package(self, widget):
        for _ in range(3):
            widget.send_json("DELETE", "/api/packages/widget", {"reason": "again"}, 204)
        widget.send_json("POST", "/api/packages", {"name": "empty"}, 201)
        widget.delete("/api/packages/empty")

    def test_a_later_one_keeps_the_reasons_of_an_earlier_one(self, widget):
        widget.send_json("DELETE", "/api/packages/widget", {"reason": "one"}, 204)
        widget.send_json("DELETE", "/api/packages/widget", {"reason": "two"}, 204)
        assert versions(widget)[0]["tombstone_reason"] == "one"

    def test_the_package_stays_listed_and_readable(self, widget):
        widget.delete("/api/packages/widget")
        [item] = widget.get("/api/packages").json
        assert (item["name"], item["versions_count"], item["archived"]) == ("widget", 3, True)
        assert item["latest_version"]["version"] == 3
        assert item["latest_live_version"] is None
        assert len(widget.get("/api/packages/widget").json["versions"]) == 3
        assert "### Version 3 (tombstoned)" in widget.get("/api/packages/widget/history").text

    def test_publishing_goes_on_with_the_next_number(self, widget):
        widget.delete("/api/packages/widget")
        assert widget.publish("widget")["version"] == 4
        [alias] = widget.get("/api/packages/widget/aliases").json
        assert (alias["name"], alias["version"]) == ("latest", 4)
        [item] = widget.get("/api/packages").json
        assert (item["archived"], item["latest_live_version"]["version"]) == (False, 4)

    def test_an_unknown_package_is_404_before_the_body_is_looked_at(self, acme):
        for content_type in ("text/plain", "application/json"):
            response = acme.call("DELETE", "/api/packages/nothing", b"{", content_type=content_type)
            assert_refused(response, 404, NO_PACKAGE)

    def test_its_bytes_are_no_longer_counted(self, widget):
        widget.publish("gadget")
        widget.delete("/api/packages/widget")
        kept = widget.get("/api/packages/gadget/versions/1").json["size"]
        assert widget.get("/api/organisation").json["stored_bytes"] == kept
