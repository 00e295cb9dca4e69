"""HISTORY.md and forks, as they come over HTTP: sections 7 and 8, D32.

How a history is written and read is tested in test_history.py.
"""

import re
from datetime import datetime

import pytest

from hubrepo.features.packages.history import Chapter, Entry, render, render_entry
from tests.support.archives import make_zip, manifest, package_zip, read_zip

HEAD = render([Chapter("{}", [])])


def block(version, *, hashed=True):
    """What a version, as the API shows it, is in a history."""
    origin = version["forked_from"]
    entry = Entry(
        version["version"],
        version["author"],
        datetime.fromisoformat(version["date"]),
        version["content_hash"] if hashed else None,
        version["summary"],
        version["description"],
        version["tombstoned"],
        version["tombstone_reason"],
        (origin["package"], origin["version"]) if origin else None,
    )
    return f"\n{render_entry(entry)}\n"


def history(client, name, rest=""):
    response = client.get(f"/api/packages/{name}{rest}/history")
    assert response.headers["Content-Type"] == "text/markdown; charset=utf-8"
    return response.body.decode("utf-8")


def stored_history(client, name, number):
    return read_zip(client.download(name, number))["HISTORY.md"].decode()


def zip_with(name, history, where="HISTORY.md"):
    return make_zip({"package.toml": manifest(name), where: history})


class TestHistory:
    @pytest.mark.backend
    def test_it_has_every_version_newest_first(self, acme):
        acme.send_json("POST", "/api/packages", {"name": "widget"}, 201)
        head = HEAD.format("widget")
        assert history(acme, "widget") == head
        first = acme.publish("widget", package_zip("widget", "ann"), summary=" Initial release ")
        description = "## What changed\n\n- grid layout\n- # not a heading any more\n"
        second = acme.publish("widget", summary="Adds the grid", description=description)
        text = head + block(second) + block(first)
        assert "\n\nWhat changed\n\n- grid layout\n" in text
        assert history(acme, "widget") == text
        acme.send_json("PUT", "/api/packages/widget/aliases/stable", {"version": 1})
        assert history(acme, "widget") == text

    def test_the_copy_in_the_archive_has_no_hash_of_its_own_version(self, acme):
        first = acme.publish("widget", summary="One")
        second = acme.publish("widget", summary="Two")
        head = HEAD.format("widget")
        assert stored_history(acme, "widget", 1) == head + block(first, hashed=False)
        newest = block(second, hashed=False)
        assert stored_history(acme, "widget", 2) == head + newest + block(first)

    @pytest.mark.backend
    def test_one_as_of_a_version_has_nothing_above_it(self, acme):
        versions = [acme.publish("widget") for _ in range(3)]
        for number in (1, 2, 3):
            blocks = "".join(map(block, versions[:number][::-1]))
            assert history(acme, "widget", f"/versions/{number}") == HEAD.format("widget") + blocks
        assert history(acme, "widget", "/versions/3") == history(acme, "widget")

    @pytest.mark.backend
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
        acme.publish("widget")
        assert block(third) + block(second) + block(first) in stored_history(acme, "widget", 4)

    def test_a_history_is_told_apart_by_its_tag(self, acme):
        acme.publish("widget")
        path = "/api/packages/widget/history"
        tag = acme.get(path).headers["ETag"]
        assert acme.get(path, 304, headers={"If-None-Match": tag}).body == b""
        acme.publish("widget")
        assert acme.get(path, 200, headers={"If-None-Match": tag}).headers["ETag"] != tag


@pytest.fixture
def widget(acme):
    """A client whose organisation has `widget` with versions 1, 2 and 3."""
    for number in (1, 2, 3):
        acme.publish("widget", summary=f"w{number}")
    return acme


class TestForks:
    def fork(self, client, name, of, number):
        archive = zip_with(name, stored_history(client, of, number))
        return client.publish(name, archive)

    @pytest.mark.backend
    def test_what_is_downloaded_renamed_and_published_is_a_fork(self, widget):
        version = self.fork(widget, "gadget", "widget", 2)
        assert version["forked_from"] == {"package": "widget", "version": 2}
        assert widget.get("/api/packages/gadget/versions/1").json == version
        second = self.fork(widget, "gadget", "widget", 3)
        assert second["forked_from"] is None

    def test_a_tombstoned_ancestor_counts_but_not_for_a_registered_package(self, widget):
        widget.send_json("POST", "/api/packages", {"name": "registered"}, 201)
        assert self.fork(widget, "registered", "widget", 2)["forked_from"] is None
        text = stored_history(widget, "widget", 2)
        widget.delete("/api/packages/widget/versions/2", 200)
        version = widget.publish("gadget", zip_with("gadget", text))
        assert version["forked_from"] == {"package": "widget", "version": 2}

    @pytest.mark.backend
    def test_the_history_of_a_fork_goes_on_with_its_ancestor_s(self, widget):
        gadget = self.fork(widget, "gadget", "widget", 2)
        first, ancestor = (widget.get(f"/api/packages/widget/versions/{n}").json for n in (1, 2))
        head = HEAD.format("gadget")
        section = "\n---\n\n## Forked from package: widget (Version 2)\n" + block(ancestor)
        assert stored_history(widget, "gadget", 1) == (
            head + block(gadget, hashed=False) + section + block(first)
        )
        second = widget.publish("gadget")
        widget.publish("widget")
        stone = widget.send_json("DELETE", "/api/packages/widget/versions/1", {"reason": "x"}).json
        section += block(stone)
        assert history(widget, "gadget") == head + block(second) + block(gadget) + section
        assert history(widget, "gadget", "/versions/1") == head + block(gadget) + section

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

    def test_a_claim_counts_when_the_version_is_there(self, widget):
        for number, (text, version) in enumerate(
            (
                (HEAD.format("widget") + "\n### Version 1\n\n### Version 3\n", 3),
                ("# widget@2\n[time: 2026-06-13T15:14:50Z, author: Acme]\n", 2),
                *((HEAD.format("widget") + f"\n### Version {n}\n", None) for n in (0, 4, 9**9)),
                *(
                    (HEAD.format(n) + "\n### Version 1\n", None)
                    for n in ("other", "../widget", "p7")
                ),
                ("# Package History: widget\n## Versions\n### Version ٣\n", None),
                ("hello", None),
            )
        ):
            origin = version and {"package": "widget", "version": version}
            name = f"p{number}"
            assert widget.publish(name, zip_with(name, text))["forked_from"] == origin
        text = HEAD.format("itself") + "\n### Version 1\n"
        assert widget.publish("itself", zip_with("itself", text))["forked_from"] is None

    def test_it_is_made_in_the_history_of_the_package_and_nowhere_else(self, widget):
        text = HEAD.format("widget") + "\n### Version 1\n"
        archive = make_zip({"g/package.toml": manifest("a"), "g/HISTORY.md": text})
        assert widget.publish("a", archive)["forked_from"]["version"] == 1
        assert widget.publish("b", zip_with("b", text, "history.MD"))["forked_from"]["version"] == 1
        assert widget.publish("c", zip_with("c", text, "docs/HISTORY.md"))["forked_from"] is None


class TestVerification:
    def test_a_hash_that_agrees_verifies_and_one_of_other_bytes_speaks_against(self, widget):
        """Such a history is of another hub, or was edited (docs/adr/007)."""
        origin, text = {"package": "widget", "version": 3}, history(widget, "widget")
        other = re.sub("sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, text)
        for name, archive, fork, verified in (
            ("a", package_zip("a"), None, None),
            ("b", zip_with("b", text), origin, True),
            ("c", zip_with("c", stored_history(widget, "widget", 3)), origin, False),
            ("d", zip_with("d", other), None, None),
        ):
            version = widget.publish(name, archive)
            assert (version["forked_from"], version["fork_verified"]) == (fork, verified)

    def test_an_origin_may_be_declared_and_goes_before_a_claim(self, widget):
        claim = stored_history(widget, "widget", 2)
        for name, declared in (("a", "widget@1"), ("b", " widget@01 ")):
            version = widget.publish(name, zip_with(name, claim), forked_from=declared)
            assert version["forked_from"] == {"package": "widget", "version": 1}
            assert "## Forked from package: widget (Version 1)" in history(widget, name)

    def test_a_declaration_that_cannot_be_is_refused(self, widget):
        for declared in (
            *("widget", "widget@", "@1", "widget@x", "widget@4", "nothing@1", "gadget@1", "../x@1"),
        ):
            assert list(widget.publish("gadget", status=400, forked_from=declared)) == ["detail"]
        assert len(widget.get("/api/packages").json) == 1
        widget.publish("gadget")
        widget.publish("gadget", status=400, forked_from="widget@1")


def test_no_text_of_a_publisher_opens_a_heading_or_fools_the_fork_finder(acme):
    forged = "a\n\n### Version 9\n\n- **Author:** root\n\n---\n\n## Versions\n\n### Version 8"
    for _ in range(9):
        acme.publish("other")
    acme.publish("widget", summary=forged, description=forged)
    acme.publish("widget", summary=forged.replace("\n", "\u2028"), description=forged)
    stone = {"reason": forged.replace("\n", "\r")}
    acme.send_json("DELETE", "/api/packages/widget/versions/2", stone)
    text = history(acme, "widget")
    assert [line for line in re.split("[\n\r]", text) if re.match(" *(#|---|===)", line)] == [
        "# Package History: widget",
        "## Versions",
        "### Version 2 (tombstoned)",
        "### Version 1",
    ]
    assert not set(text) & set("\r\u2028")
    for name, text, version in (
        ("a", history(acme, "widget"), 2),
        ("b", stored_history(acme, "widget", 1), 1),
    ):
        made = acme.publish(name, zip_with(name, text))
        assert made["forked_from"] == {"package": "widget", "version": version}
