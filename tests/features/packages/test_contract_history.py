"""HISTORY.md and forks, as they come over HTTP: sections 7 and 8, D32."""

import re

import pytest

from tests.support.archives import make_zip, manifest, package_zip, read_zip
from tests.support.contract import NO_PACKAGE, NO_VERSION, assert_refused

HEAD = """\
# Package History: {}

> Authoritative copy lives on the server. This file is a snapshot at publish time.

## Versions
"""


def block(version, *, hashed=True):
    """What a version, as the API shows it, is in a history."""
    stone = version["tombstoned"]
    lines = [
        f"### Version {version['version']}{' (tombstoned)' if stone else ''}",
        "",
        f"- **Author:** {version['author']}",
        f"- **Date:** {version['date']}",
    ]
    if hashed and not stone:
        lines.append(f"- **Hash:** {version['content_hash']}")
    if summary := version["summary"].strip():
        lines.append(f"- **Message:** {summary}")
    if origin := version["forked_from"]:
        lines.append(f"- **Forked from:** {origin['package']} v{origin['version']}")
    if stone and (reason := version["tombstone_reason"].strip()):
        lines.append(f"- **Tombstoned:** {reason}")
    return "\n" + "\n".join(lines) + "\n"


def history(client, name, rest=""):
    response = client.get(f"/api/packages/{name}{rest}/history")
    assert response.headers["Content-Type"] == "text/markdown; charset=utf-8"
    return response.body.decode("utf-8")


def stored_history(client, name, number):
    return read_zip(client.download(name, number))["HISTORY.md"].decode()


def zip_with(name, history, where="HISTORY.md", **more):
    return make_zip({"package.toml": manifest(name), where: history, **more})


class TestHistory:
    def test_without_versions_it_is_the_head(self, acme):
        acme.send_json("POST", "/api/packages", {"name": "widget"}, 201)
        assert history(acme, "widget") == HEAD.format("widget")

    def test_it_has_every_version_newest_first(self, acme):
        first = acme.publish("widget", package_zip("widget", "ann"), summary=" Initial release ")
        second = acme.publish("widget", package_zip("widget", "bob"))
        text = HEAD.format("widget") + block(second) + block(first)
        assert history(acme, "widget") == text

    def test_the_copy_in_the_archive_has_no_hash_of_its_own_version(self, acme):
        first = acme.publish("widget", summary="One")
        second = acme.publish("widget", summary="Two")
        head = HEAD.format("widget")
        assert stored_history(acme, "widget", 1) == head + block(first, hashed=False)
        assert stored_history(acme, "widget", 2) == head + block(second, hashed=False) + block(
            first
        )

    def test_one_as_of_a_version_has_nothing_above_it(self, acme):
        versions = [acme.publish("widget") for _ in range(3)]
        for number in (1, 2, 3):
            blocks = "".join(map(block, versions[:number][::-1]))
            assert history(acme, "widget", f"/versions/{number}") == HEAD.format("widget") + blocks
        assert history(acme, "widget", "/versions/3") == history(acme, "widget")

    def test_a_tombstoned_version_keeps_its_history(self, acme):
        first = acme.publish("widget", summary="One")
        acme.publish("widget", summary="Two")
        acme.publish("widget")
        body = {"reason": " leaked a credential\n"}
        second = acme.send_json("DELETE", "/api/packages/widget/versions/2", body).json
        third = acme.delete("/api/packages/widget/versions/3", 200).json
        head = HEAD.format("widget")
        assert "- **Tombstoned:** leaked a credential\n" in block(second)
        assert history(acme, "widget") == head + block(third) + block(second) + block(first)
        assert history(acme, "widget", "/versions/2") == head + block(second) + block(first)

    def test_the_archive_of_a_later_version_tells_of_the_tombstone(self, acme):
        acme.publish("widget", summary="secret.txt added")
        acme.send_json("DELETE", "/api/packages/widget/versions/1", {"reason": "leak"})
        acme.publish("widget")
        assert "### Version 1 (tombstoned)" in stored_history(acme, "widget", 2)

    def test_a_description_stands_under_its_version(self, acme):
        version = acme.publish(
            "widget",
            summary="Adds the grid",
            description="## What changed\n\n- grid layout\n- # not a heading any more\n",
        )
        text = HEAD.format("widget") + block(version)
        assert history(acme, "widget") == (
            text + "\nWhat changed\n\n- grid layout\n- # not a heading any more\n"
        )

    def test_aliases_never_show(self, acme):
        acme.publish("widget")
        before = history(acme, "widget")
        acme.send_json("PUT", "/api/packages/widget/aliases/stable", {"version": 1})
        assert history(acme, "widget") == before

    def test_what_is_not_there_has_none(self, acme):
        acme.publish("widget")
        for path, text in (
            ("nothing/history", NO_PACKAGE),
            ("nothing/versions/1/history", NO_PACKAGE),
            ("widget/versions/2/history", NO_VERSION),
        ):
            assert_refused(acme.get(f"/api/packages/{path}", 404), 404, text)

    def test_a_history_is_told_apart_by_its_tag(self, acme):
        acme.publish("widget")
        path = "/api/packages/widget/history"
        tag = acme.get(path).headers["ETag"]
        assert acme.get(path, 304, headers={"If-None-Match": tag}).body == b""
        acme.publish("widget")
        assert acme.get(path, 200, headers={"If-None-Match": tag}).headers["ETag"] != tag


class TestForks:
    @pytest.fixture
    def widget(self, acme):
        """A client whose organisation has `widget` with versions 1, 2 and 3."""
        for number in (1, 2, 3):
            acme.publish("widget", summary=f"w{number}")
        return acme

    def fork(self, client, name, of, number):
        archive = zip_with(name, stored_history(client, of, number))
        return client.publish(name, archive)

    def test_what_is_downloaded_renamed_and_published_is_a_fork(self, widget):
        version = self.fork(widget, "gadget", "widget", 2)
        assert version["forked_from"] == {"package": "widget", "version": 2}
        assert widget.get("/api/packages/gadget/versions/1").json == version

    def test_only_version_1_has_an_origin(self, widget):
        self.fork(widget, "gadget", "widget", 2)
        second = self.fork(widget, "gadget", "widget", 3)
        assert second["forked_from"] is None

    def test_a_registered_package_is_no_fork(self, widget):
        widget.send_json("POST", "/api/packages", {"name": "gadget"}, 201)
        assert self.fork(widget, "gadget", "widget", 2)["forked_from"] is None

    def test_a_package_is_no_fork_of_itself(self, widget):
        text = HEAD.format("gadget") + "\n### Version 1\n"
        assert widget.publish("gadget", zip_with("gadget", text))["forked_from"] is None

    def test_a_tombstoned_ancestor_counts(self, widget):
        text = stored_history(widget, "widget", 2)
        widget.delete("/api/packages/widget/versions/2", 200)
        version = widget.publish("gadget", zip_with("gadget", text))
        assert version["forked_from"] == {"package": "widget", "version": 2}

    def test_the_history_of_a_fork_goes_on_with_its_ancestor_s(self, widget):
        gadget = self.fork(widget, "gadget", "widget", 2)
        second = widget.publish("gadget")
        widget.publish("widget")
        stone = widget.send_json("DELETE", "/api/packages/widget/versions/1", {"reason": "x"}).json
        ancestor = widget.get("/api/packages/widget/versions/2").json
        section = (
            "\n---\n\n## Forked from package: widget (Version 2)\n" + block(ancestor) + block(stone)
        )
        text = HEAD.format("gadget") + block(second) + block(gadget) + section
        assert history(widget, "gadget") == text
        assert history(widget, "gadget", "/versions/1") == (
            HEAD.format("gadget") + block(gadget) + section
        )

    def test_the_copy_in_its_archive_has_the_section_as_well(self, widget):
        gadget = self.fork(widget, "gadget", "widget", 2)
        first, second = (widget.get(f"/api/packages/widget/versions/{n}").json for n in (1, 2))
        assert stored_history(widget, "gadget", 1) == (
            HEAD.format("gadget")
            + block(gadget, hashed=False)
            + "\n---\n\n## Forked from package: widget (Version 2)\n"
            + block(second)
            + block(first)
        )

    def test_a_fork_of_a_fork_shows_both(self, widget):
        self.fork(widget, "gadget", "widget", 2)
        self.fork(widget, "gizmo", "gadget", 1)
        headings = re.findall("^#+ .*", history(widget, "gizmo"), re.MULTILINE)
        assert headings == [
            "# Package History: gizmo",
            "## Versions",
            "### Version 1",
            "## Forked from package: gadget (Version 1)",
            "### Version 1",
            "## Forked from package: widget (Version 2)",
            "### Version 2",
            "### Version 1",
        ]

    CLAIMS = (
        (HEAD + "\n### Version 2\n", 2),
        (HEAD + "\n### Version 1\n\n### Version 3\n\n### Version 2\n", 3),
        ((HEAD + "\n### Version 2\n").replace("\n", "\r\n"), 2),
        ("Some words.\n\n" + HEAD + "\n### Version 2 (tombstoned)\n", 2),
        ("#  Package \t History:   {}\n## Versions\n### Version 1\n", 1),
        ("# Package History: {}\n## Versions\n### Version 1\n## More\n### Version 3\n", 1),
        ("# Package History: {}\n## Versions\n### Version 1\n---\n### Version 3\n", 1),
        ("# Package History: {}\n### Version 3\n## Versions\n### Version 1\n", 1),
        ("# {}@2\n[time: 2026-06-13T15:14:50Z, author: Acme]\n", 2),
        ("\n\n# {}@1\n[time: 2026-06-13T15:14:50Z, author: Acme]\n\n# {}@3\n", 1),
    )
    NO_CLAIMS = (
        "",
        "hello",
        "# Package History: {}\n",
        "# Package History: {}\n## Versions\n",
        "# Package History: {}\n## Versions\n### Version 4\n",
        "# Package History: {}\n## Versions\n### Version 0\n",
        "# Package History: {}\n## Versions\n### Version two\n",
        "# Package History: {}\n## Versions\n### Version ٣\n",
        "# Package History: {}\n## Versions\n### Version 1 of 3\n",
        "# Package History: {}\n## Versions\n### Version 99999999999999999999\n",
        "# package history: {}\n## Versions\n### Version 1\n",
        " # Package History: {}\n## Versions\n### Version 1\n",
        "# Package History: other\n## Versions\n### Version 1\n",
        "# Package History: ../{}\n## Versions\n### Version 1\n",
    )

    @pytest.mark.parametrize(("text", "number"), CLAIMS)
    def test_a_history_claims_its_highest_version(self, widget, text, number):
        archive = zip_with("gadget", text.replace("{}", "widget"))
        origin = {"package": "widget", "version": number}
        assert widget.publish("gadget", archive)["forked_from"] == origin

    @pytest.mark.parametrize("text", NO_CLAIMS)
    def test_anything_else_claims_nothing_and_is_no_error(self, widget, text):
        archive = zip_with("gadget", text.replace("{}", "widget"))
        assert widget.publish("gadget", archive)["forked_from"] is None

    @pytest.mark.parametrize("where", ["HISTORY.md", "history.MD"])
    def test_the_history_is_found_in_any_case(self, widget, where):
        archive = zip_with("gadget", HEAD.format("widget") + "\n### Version 1\n", where)
        assert widget.publish("gadget", archive)["forked_from"]["version"] == 1

    def test_so_it_is_in_the_top_folder(self, widget):
        text = HEAD.format("widget") + "\n### Version 1\n"
        archive = make_zip({"g/package.toml": manifest("gadget"), "g/HISTORY.md": text})
        assert widget.publish("gadget", archive)["forked_from"]["version"] == 1

    def test_one_that_is_content_claims_nothing(self, widget):
        text = HEAD.format("widget") + "\n### Version 1\n"
        archive = zip_with("gadget", text, "docs/HISTORY.md")
        assert widget.publish("gadget", archive)["forked_from"] is None


class TestVerification:
    @pytest.fixture
    def widget(self, acme):
        """A client whose organisation has `widget` with version 1."""
        acme.publish("widget")
        return acme

    def test_a_package_that_is_no_fork_has_nothing_to_verify(self, widget):
        assert widget.publish("gadget")["fork_verified"] is None

    def test_a_hash_that_agrees_verifies(self, widget):
        version = widget.publish("gadget", zip_with("gadget", history(widget, "widget")))
        assert version["forked_from"] == {"package": "widget", "version": 1}
        assert version["fork_verified"] is True

    def test_without_a_hash_it_is_a_mere_claim(self, widget):
        version = widget.publish("gadget", zip_with("gadget", stored_history(widget, "widget", 1)))
        assert version["forked_from"] == {"package": "widget", "version": 1}
        assert not version["fork_verified"]

    def test_a_hash_of_other_bytes_speaks_against_the_claim(self, widget):
        """Such a history is of another hub, or was edited (docs/adr/007)."""
        text = re.sub("sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, history(widget, "widget"))
        version = widget.publish("gadget", zip_with("gadget", text))
        assert (version["forked_from"], version["fork_verified"]) == (None, None)

    @pytest.mark.parametrize("declared", ["widget@1", " widget@01 "])
    def test_an_origin_may_be_declared(self, widget, declared):
        version = widget.publish("gadget", forked_from=declared)
        assert version["forked_from"] == {"package": "widget", "version": 1}
        assert "## Forked from package: widget (Version 1)" in history(widget, "gadget")

    def test_what_is_declared_goes_before_what_is_claimed(self, widget):
        widget.publish("widget")
        archive = zip_with("gadget", stored_history(widget, "widget", 2))
        version = widget.publish("gadget", archive, forked_from="widget@1")
        assert version["forked_from"] == {"package": "widget", "version": 1}

    @pytest.mark.parametrize(
        "declared",
        ["widget", "widget@", "@1", "widget@x", "widget@2", "nothing@1", "gadget@1", "../x@1"],
    )
    def test_a_declaration_that_cannot_be_is_refused(self, widget, declared):
        assert list(widget.publish("gadget", status=400, forked_from=declared)) == ["detail"]
        assert len(widget.get("/api/packages").json) == 1

    def test_a_later_version_cannot_declare_one(self, widget):
        widget.publish("gadget")
        widget.publish("gadget", status=400, forked_from="widget@1")


class TestForgery:
    FORGED = "\n\n### Version 9\n\n- **Author:** root\n\n---\n\n## Versions\n\n### Version 8"

    def structure(self, text):
        return [line for line in re.split("[\n\r]", text) if re.match(" *(#|---|===)", line)]

    @pytest.mark.parametrize("break_", ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x85", "\u2028"])
    def test_a_summary_or_a_reason_stays_on_its_line(self, acme, break_):
        forged = ("a" + self.FORGED).replace("\n", break_)
        acme.publish("widget", summary=forged)
        acme.publish("widget", summary=forged)
        acme.send_json("DELETE", "/api/packages/widget/versions/2", {"reason": forged})
        text = history(acme, "widget")
        assert len(re.findall(r"### Version 9", text)) == 3
        assert self.structure(text) == [
            "# Package History: widget",
            "## Versions",
            "### Version 2 (tombstoned)",
            "### Version 1",
        ]
        assert not set(text) & set("\r\x0b\x0c\x85\u2028")

    @pytest.mark.parametrize(
        "forged",
        [
            "### Version 9\n\n- **Hash:** sha256:00",
            "x\n\n---\n\n## Forked from package: other (Version 1)\n\n### Version 9",
            "# # Version 9\n## Versions\n### Version 8",
            "Version 9\n---------\n",
            "Title\n=====\n",
            "  ---",
            "\u00a0### Version 9",
            "\t### Version 9",
        ],
    )
    def test_a_description_opens_no_heading_and_draws_no_line(self, acme, forged):
        acme.publish("widget", description="before\n\n" + forged)
        assert self.structure(history(acme, "widget")) == [
            "# Package History: widget",
            "## Versions",
            "### Version 1",
        ]

    def test_a_forged_version_does_not_fool_the_fork_finder(self, acme):
        for _ in range(9):
            acme.publish("other")
        acme.publish("widget", summary="a" + self.FORGED, description="b" + self.FORGED)
        for text in (history(acme, "widget"), stored_history(acme, "widget", 1)):
            name = f"g{len(acme.get('/api/packages').json)}"
            version = acme.publish(name, zip_with(name, text))
            assert version["forked_from"] == {"package": "widget", "version": 1}
