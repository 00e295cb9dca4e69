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
    def test_an_alias_is_made_and_moved(self, widget):
        made = put(widget, "stable", {"version": 1}, 200).json
        assert list(made) == ["name", "version", "updated_at"]
        assert (made["name"], made["version"]) == ("stable", 1)
        moved = put(widget, "stable", {"version": 3}, 200).json
        assert moved["version"] == 3
        assert moved["updated_at"] > made["updated_at"]
        assert aliases(widget) == {"latest": 3, "stable": 3}

    def test_its_date_moves_even_when_its_target_does_not(self, widget):
        made = put(widget, "stable", {"version": 1}).json
        assert put(widget, "stable", {"version": 1}).json["updated_at"] > made["updated_at"]

    def test_other_fields_are_ignored(self, widget):
        put(widget, "stable", {"version": 1, "name": "x", "updated_at": 0}, 200)

    @pytest.mark.parametrize("version", [1, "1", " 1 ", "+1", "01", 1.0, True, 1.5])
    def test_what_python_reads_as_a_number_is_one(self, widget, version):
        assert put(widget, "stable", {"version": version}, 200).json["version"] == 1

    @pytest.mark.parametrize("alias", ["a", "a1", "a-b", "a-1", "release-2026-11", "x" * 64])
    def test_names_are_kebab_case(self, widget, alias):
        assert put(widget, alias, {"version": 1}, 200).json["name"] == alias

    @pytest.mark.parametrize("body", [{"version": 99}, {}, None])
    def test_first_comes_whether_it_is_latest(self, widget, body):
        assert_refused(put(widget, "latest", body), 400, RESERVED)
        assert_refused(put(widget, "latest", body, package="nothing"), 400, RESERVED)

    @pytest.mark.parametrize(
        "alias",
        [
            "a--b",
            "a-",
            "-a",
            "1a",
            "A",
            "Latest",
            "a_b",
            "a.b",
            "a b",
            "é",
            "a%2Eb",
            "x" * 63 + "--",
            "-" * 70,
        ],
    )
    def test_then_whether_it_is_kebab_case(self, widget, alias):
        assert_refused(put(widget, alias, {"version": 99}), 400, KEBAB)
        assert_refused(put(widget, alias, {}, package="nothing"), 400, KEBAB)

    def test_then_whether_it_is_too_long(self, widget):
        assert_refused(put(widget, "x" * 65, {"version": 99}), 400, TOO_LONG)
        assert_refused(put(widget, "x" * 200, {}, package="nothing"), 400, TOO_LONG)

    @pytest.mark.parametrize("body", [{}, [], [1], 1, "version", None, {"Version": 1}])
    def test_then_whether_there_is_a_target(self, widget, body):
        assert_refused(put(widget, "stable", body), 400, NO_TARGET)
        assert_refused(put(widget, "stable", body, package="nothing"), 400, NO_TARGET)

    @pytest.mark.parametrize(
        "version", ["", "x", "1.0", None, [], {}, [1], "1e3", "0x1", "1 2", "٣x"]
    )
    def test_then_whether_it_is_a_number(self, widget, version):
        assert_refused(put(widget, "stable", {"version": version}), 400, NOT_POSITIVE)
        nothing = put(widget, "stable", {"version": version}, package="nothing")
        assert_refused(nothing, 400, NOT_POSITIVE)

    @pytest.mark.parametrize("body", [b'{"version":1e400}', b'{"version":-1e400}'])
    def test_infinity_is_no_number(self, widget, body):
        response = widget.call("PUT", f"{ALIASES}/stable", body, content_type="application/json")
        assert_refused(response, 400, NOT_POSITIVE)

    def test_then_whether_the_package_is_there(self, widget):
        for version in (1, 99, 0):
            response = put(widget, "stable", {"version": version}, package="nothing")
            assert_refused(response, 404, NO_PACKAGE)

    @pytest.mark.parametrize("version", [99, 4, 0, -1, 10**30, "99", -0.5])
    def test_then_whether_the_version_is(self, widget, version):
        response = put(widget, "stable", {"version": version})
        assert_refused(response, 404, f"version {int(version)} not found")

    @pytest.mark.parametrize("version", [2, "2", 2.9])
    def test_then_whether_it_is_live(self, widget, version):
        assert_refused(put(widget, "stable", {"version": version}), 409, "version 2 is tombstoned")

    def test_what_is_refused_changes_nothing(self, widget):
        put(widget, "stable", {"version": 1}, 200)
        before = widget.get(ALIASES).body
        for version in (2, 99, "x"):
            put(widget, "stable", {"version": version}, "4*")
        assert widget.get(ALIASES).body == before


class TestDelete:
    def test_an_alias_goes_and_its_version_stays(self, widget):
        put(widget, "stable", {"version": 1})
        response = widget.delete(f"{ALIASES}/stable")
        assert response.body == b""
        assert aliases(widget) == {"latest": 3}
        assert widget.download("widget", 1)

    @pytest.mark.parametrize(
        ("path", "status", "text"),
        [
            ("widget/aliases/beta", 404, "alias 'beta' not found"),
            ("nothing/aliases/beta", 404, NO_PACKAGE),
            ("widget/aliases/latest", 400, RESERVED),
            ("nothing/aliases/latest", 400, RESERVED),
            ("widget/aliases/A", 400, KEBAB),
            ("widget/aliases/a--b", 400, KEBAB),
            ("nothing/aliases/1a", 400, KEBAB),
            ("widget/aliases/" + "x" * 65, 400, TOO_LONG),
        ],
    )
    def test_what_cannot_go_is_refused(self, widget, path, status, text):
        assert_refused(widget.delete(f"/api/packages/{path}", status), status, text)

    def test_it_is_gone_only_once(self, widget):
        put(widget, "stable", {"version": 1})
        widget.delete(f"{ALIASES}/stable")
        assert_refused(widget.delete(f"{ALIASES}/stable", 404), 404, "alias 'stable' not found")


class TestReading:
    def test_they_come_by_name(self, widget):
        for alias in ("b", "a-b", "a", "a1", "z", "ab"):
            put(widget, alias, {"version": 1})
        names = [each["name"] for each in widget.get(ALIASES).json]
        assert names == ["a", "a-b", "a1", "ab", "b", "latest", "z"]

    def test_there_are_none_of_an_unknown_package(self, acme):
        assert_refused(acme.get("/api/packages/nothing/aliases", 404), 404, NO_PACKAGE)

    def test_one_can_be_read(self, widget):
        made = put(widget, "stable", {"version": 1}).json
        assert widget.get(f"{ALIASES}/stable").json == made
        assert widget.get(f"{ALIASES}/latest").json["version"] == 3

    def test_one_can_be_downloaded(self, widget):
        put(widget, "stable", {"version": 1})
        by_alias = widget.get(f"{ALIASES}/stable/download")
        by_number = widget.get("/api/packages/widget/versions/1/download")
        assert by_alias.body == by_number.body
        for name in ("Content-Type", "Content-Disposition", "Content-Length", "ETag"):
            assert by_alias.headers[name] == by_number.headers[name]
        assert "no-cache" in by_alias.headers["Cache-Control"]
        assert widget.get(f"{ALIASES}/latest/download").body == widget.download("widget", 3)

    @pytest.mark.parametrize("rest", ["", "/download"])
    def test_one_that_is_not_there_is_404(self, widget, rest):
        response = widget.get(f"{ALIASES}/beta{rest}", 404)
        assert_refused(response, 404, "alias 'beta' not found")
        widget.get(f"{ALIASES}/NO_SUCH{rest}", 404)
        response = widget.get(f"/api/packages/nothing/aliases/beta{rest}", 404)
        assert_refused(response, 404, NO_PACKAGE)


class TestLatest:
    def test_every_publish_moves_it(self, acme):
        moved = []
        for number in (1, 2, 3):
            acme.publish("widget")
            [alias] = acme.get(ALIASES).json
            assert (alias["name"], alias["version"]) == ("latest", number)
            moved.append(alias["updated_at"])
        assert moved == sorted(set(moved))

    def test_it_moves_down_to_the_highest_live_version(self, widget):
        widget.delete("/api/packages/widget/versions/3", 200)
        assert aliases(widget) == {"latest": 1}
        assert widget.get("/api/packages/widget/latest").body == widget.download("widget", 1)

    def test_it_stays_when_another_version_goes(self, widget):
        before = widget.get(ALIASES).body
        widget.delete("/api/packages/widget/versions/1", 200)
        assert widget.get(ALIASES).body == before

    def test_it_disappears_with_the_last_live_version(self, widget):
        for number in (3, 1):
            widget.delete(f"/api/packages/widget/versions/{number}", 200)
        assert aliases(widget) == {}
        response = widget.get("/api/packages/widget/latest", 404)
        assert_refused(response, 404, "no published versions")

    def test_it_comes_back_with_the_next_one(self, widget):
        widget.delete("/api/packages/widget")
        widget.publish("widget")
        assert aliases(widget) == {"latest": 4}
