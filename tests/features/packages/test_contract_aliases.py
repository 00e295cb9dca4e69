"""Aliases, and the one that the hub keeps: section 9, D43."""

import pytest

from tests.support.contract import NO_PACKAGE, assert_refused

RESERVED = "alias 'latest' is reserved and managed automatically"
KEBAB = (
    "alias name must be lowercase kebab-case (letters, digits, single dashes; cannot start with a "
    "digit or dash, cannot contain `--`, cannot end with a dash)"
)
TOO_LONG = "alias name must be ≤ 64 characters"
NO_TARGET = "body must include 'version'"
NOT_POSITIVE = "'version' must be a positive integer"
ALIASES = "/api/packages/widget/aliases"
NOT_KEBAB = [
    *("a--b", "a-", "-a", "1a", "A", "Latest", "a_b", "a.b", "a b", "é", "a%2Eb"),
    *("x" * 63 + "--", "-" * 70, "<script>", "a'b", '"'),
]
# (alias, body, text): each has all later faults as well, and the first one is told.
MALFORMED = [
    *(("latest", body, RESERVED) for body in ({"version": 99}, {}, None)),
    *((alias, body, KEBAB) for alias in NOT_KEBAB for body in ({"version": 99}, {})),
    *(("x" * length, {}, TOO_LONG) for length in (65, 200)),
    *(("a", body, NO_TARGET) for body in ({}, [], [1], 1, "version", None, {"Version": 1})),
    *(
        ("a", {"version": version}, NOT_POSITIVE)
        for version in ("", "x", "1.0", None, [], {}, [1], "1e3", "0x1", "1 2", "٣x")
    ),
]


@pytest.fixture
def widget(acme):
    """A client whose organisation has `widget` with versions 1 to 3, the second tombstoned."""
    for _ in range(3):
        acme.publish("widget")
    acme.delete("/api/packages/widget/versions/2", 200)
    return acme


def put(client, alias, body, status="*", package="widget"):
    return client.send_json("PUT", f"/api/packages/{package}/aliases/{alias}", body, status)


def aliases(client, package="widget"):
    found = client.get(f"/api/packages/{package}/aliases").json
    assert found == client.get(f"/api/packages/{package}").json["aliases"]
    return {each["name"]: each["version"] for each in found}


class TestPut:
    @pytest.mark.backend
    def test_an_alias_is_made_and_moved_and_its_date_moves_each_time(self, widget):
        made = put(widget, "stable", {"version": 1}, 200).json
        assert list(made) == ["name", "version", "updated_at"]
        assert (made["name"], made["version"]) == ("stable", 1)
        moved = put(widget, "stable", {"version": 3, "name": "x", "updated_at": 0}, 200).json
        assert (moved["name"], moved["version"]) == ("stable", 3)
        again = put(widget, "stable", {"version": 3}, 200).json
        assert made["updated_at"] < moved["updated_at"] < again["updated_at"]
        assert aliases(widget) == {"latest": 3, "stable": 3}

    def test_names_are_kebab_case_and_what_python_reads_as_a_number_is_one(self, widget):
        for version in (1, "1", " 1 ", "+1", "01", 1.0, True, 1.5):
            assert put(widget, "stable", {"version": version}, 200).json["version"] == 1
        for alias in ("a", "a1", "a-b", "a-1", "release-2026-11", "x" * 64):
            assert put(widget, alias, {"version": 1}, 200).json["name"] == alias

    @pytest.mark.backend
    def test_refusals_come_in_the_order_of_the_checks(self, widget):
        put(widget, "stable", {"version": 1}, 200)
        before = widget.get(ALIASES).body
        for alias, body, text in MALFORMED:
            for package in ("widget", "nothing"):
                assert_refused(put(widget, alias, body, package=package), 400, text)
        for raw in (b'{"version":1e400}', b'{"version":-1e400}'):
            response = widget.call("PUT", f"{ALIASES}/stable", raw, content_type="application/json")
            assert_refused(response, 400, NOT_POSITIVE)
        for version in (1, 99, 0):
            response = put(widget, "stable", {"version": version}, package="nothing")
            assert_refused(response, 404, NO_PACKAGE)
        for version in (99, 4, 0, -1, 10**30, "99", -0.5):
            response = put(widget, "stable", {"version": version})
            assert_refused(response, 404, f"version {int(version)} not found")
        for version in (2, "2", 2.9):
            response = put(widget, "stable", {"version": version})
            assert_refused(response, 409, "version 2 is tombstoned")
        assert widget.get(ALIASES).body == before


class TestDelete:
    @pytest.mark.backend
    def test_an_alias_goes_once_and_its_version_stays(self, widget):
        put(widget, "stable", {"version": 1})
        assert widget.delete(f"{ALIASES}/stable").body == b""
        assert aliases(widget) == {"latest": 3}
        assert widget.download("widget", 1)
        assert_refused(widget.delete(f"{ALIASES}/stable", 404), 404, "alias 'stable' not found")

    def test_what_cannot_go_is_refused(self, widget):
        for path, status, text in (
            ("widget/aliases/beta", 404, "alias 'beta' not found"),
            ("nothing/aliases/beta", 404, NO_PACKAGE),
            ("widget/aliases/latest", 400, RESERVED),
            ("nothing/aliases/latest", 400, RESERVED),
            ("widget/aliases/A", 400, KEBAB),
            ("widget/aliases/a--b", 400, KEBAB),
            ("nothing/aliases/1a", 400, KEBAB),
            ("widget/aliases/" + "x" * 65, 400, TOO_LONG),
        ):
            assert_refused(widget.delete(f"/api/packages/{path}", status), status, text)


class TestReading:
    @pytest.mark.backend
    def test_they_come_by_name(self, widget):
        for alias in ("b", "a-b", "a", "a1", "z", "ab"):
            put(widget, alias, {"version": 1})
        names = [each["name"] for each in widget.get(ALIASES).json]
        assert names == ["a", "a-b", "a1", "ab", "b", "latest", "z"]

    @pytest.mark.backend
    def test_one_can_be_read_and_downloaded(self, widget):
        made = put(widget, "stable", {"version": 1}).json
        assert widget.get(f"{ALIASES}/stable").json == made
        assert widget.get(f"{ALIASES}/latest").json["version"] == 3
        by_alias = widget.get(f"{ALIASES}/stable/download")
        by_number = widget.get("/api/packages/widget/versions/1/download")
        assert by_alias.body == by_number.body
        for name in ("Content-Type", "Content-Disposition", "Content-Length", "ETag"):
            assert by_alias.headers[name] == by_number.headers[name]
        assert "no-cache" in by_alias.headers["Cache-Control"]
        assert widget.get(f"{ALIASES}/latest/download").body == widget.download("widget", 3)

    def test_one_that_is_not_there_is_404(self, widget):
        for rest in ("", "/download"):
            response = widget.get(f"{ALIASES}/beta{rest}", 404)
            assert_refused(response, 404, "alias 'beta' not found")
            widget.get(f"{ALIASES}/NO_SUCH{rest}", 404)
            response = widget.get(f"/api/packages/nothing/aliases/beta{rest}", 404)
            assert_refused(response, 404, NO_PACKAGE)


class TestLatest:
    @pytest.mark.backend
    def test_every_publish_moves_it(self, acme):
        moved = []
        for number in (1, 2, 3):
            acme.publish("widget")
            [alias] = acme.get(ALIASES).json
            assert (alias["name"], alias["version"]) == ("latest", number)
            moved.append(alias["updated_at"])
        assert moved == sorted(set(moved))

    @pytest.mark.backend
    def test_it_points_to_the_highest_live_version_as_long_as_there_is_one(self, widget):
        widget.delete("/api/packages/widget/versions/3", 200)
        assert aliases(widget) == {"latest": 1}
        assert widget.get("/api/packages/widget/latest").body == widget.download("widget", 1)
        widget.delete("/api/packages/widget/versions/1", 200)
        assert aliases(widget) == {}
        response = widget.get("/api/packages/widget/latest", 404)
        assert_refused(response, 404, "no published versions")
        widget.publish("widget")
        assert aliases(widget) == {"latest": 4}

    def test_it_stays_when_another_version_goes(self, widget):
        before = widget.get(ALIASES).body
        widget.delete("/api/packages/widget/versions/1", 200)
        assert widget.get(ALIASES).body == before
