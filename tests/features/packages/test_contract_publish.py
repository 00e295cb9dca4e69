"""Registering, listing, publishing and its refusals, in the order of the checks: section 5."""

import io
import re
import threading
import tomllib
import zipfile

import pytest

from hubrepo.kernel.accounts.services import Limits
from tests.support.archives import make_zip, manifest, package_zip, read_zip
from tests.support.contract import (
    NO_PACKAGE,
    NO_VERSION,
    VERSION_FIELDS,
    assert_refused,
    file_part,
    multipart,
    statements,
    text_part,
)
from tests.support.hub import Client, Hub

MICROS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")
SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

NOT_ZIP = "invalid package - file is not a valid ZIP"
NO_MANIFEST = "invalid package - missing `package.toml` file"
NOT_TOML = "invalid package - `package.toml` is not valid TOML"
NO_NAME = "invalid package - missing `[package] 'name' property` in package.toml` file"
NO_AUTHOR = "invalid package - missing `[package] 'author' property` in package.toml` file"
NO_FILE = "no file provided"
TOO_LARGE = "File size must not exceed 10 MB."
NOT_INTEGER = "`parent_version` must be an integer"
PATH = "/api/packages/{}/versions"


def toml_zip(text):
    return make_zip({"package.toml": text, "readme": "x"})


def post(client, parts, name="widget"):
    return client.call(
        "POST",
        PATH.format(name),
        multipart(parts),
        content_type="multipart/form-data; boundary=frontier",
    )


class TestRegister:
    def test_a_new_package_is_empty(self, acme):
        response = acme.send_json("POST", "/api/packages", {"name": "p1"}, 201)
        assert list(response.json)[:4] == ["name", "created_at", "versions", "aliases"]
        assert response.json["name"] == "p1"
        assert MICROS.fullmatch(response.json["created_at"])
        assert (response.json["versions"], response.json["aliases"]) == ([], [])
        assert acme.get("/api/packages/p1").json == response.json
        assert acme.get("/api/packages/p1/versions").json == []
        assert acme.get("/api/packages/p1/aliases").json == []
        assert_refused(acme.get("/api/packages/p1/latest", 404), 404, "no published versions")

    @pytest.mark.parametrize("body", [[], [{"name": "p1"}], "p1", 1, None, True])
    def test_a_body_that_is_no_object_is_refused(self, acme, body):
        response = acme.send_json("POST", "/api/packages", body, 400)
        assert_refused(response, 400, "body must be a JSON object")

    @pytest.mark.parametrize(
        ("body", "text"),
        [
            ({"zz": 1, "aa": 2}, "['aa', 'zz']"),
            ({"name": "p1", "type": "app"}, "['type']"),
            ({"name": None, "b": 1, "a": 1, "C": 1}, "['C', 'a', 'b']"),
            ({"ü": 1}, "['ü']"),
        ],
    )
    def test_other_fields_than_the_name_are_refused(self, acme, body, text):
        response = acme.send_json("POST", "/api/packages", body, 400)
        assert_refused(response, 400, f"unexpected fields: {text}")

    @pytest.mark.parametrize(
        "body",
        [{}, *({"name": name} for name in (None, "", "  ", "\n\t", 0, False, [], {}, 0.0))],
    )
    def test_a_missing_name_is_refused(self, acme, body):
        assert_refused(acme.send_json("POST", "/api/packages", body, 400), 400, "missing 'name'")

    def test_the_name_is_trimmed(self, acme):
        assert acme.send_json("POST", "/api/packages", {"name": " p1\n"}, 201).json["name"] == "p1"

    @pytest.mark.parametrize("state", ["registered", "published", "deleted"])
    def test_a_taken_name_is_409(self, acme, state):
        if state == "registered":
            acme.send_json("POST", "/api/packages", {"name": "p1"}, 201)
        else:
            acme.publish("p1")
        if state == "deleted":
            acme.delete("/api/packages/p1")
        response = acme.send_json("POST", "/api/packages", {"name": "p1"}, 409)
        assert_refused(response, 409, "package 'p1' already exists")

    @pytest.mark.parametrize("name", [1, 1.5, True, ["a"], {"a": "b"}, 10**30])
    def test_a_name_that_is_no_text_is_400(self, acme, name):
        response = acme.send_json("POST", "/api/packages", {"name": name}, 400)
        assert isinstance(response.json["detail"], str)

    @pytest.mark.parametrize(
        "name",
        [
            "a/b",
            "../x",
            "..",
            ".",
            "a b",
            "a\0b",
            "a\nb",
            "-a",
            ".a",
            "a" * 129,
            "a" * 300,
            "a:b",
            "a%b",
            "a\\b",
            "😀",
            "a\u200bb",
            "a\u202eb",
            "a\ud800",
            "@a",
            "a@1",
        ],
        ids=ascii,
    )
    def test_a_name_that_no_url_could_spell_is_400(self, acme, name):
        response = acme.send_json("POST", "/api/packages", {"name": name}, 400)
        assert isinstance(response.json["detail"], str)
        assert acme.get("/api/packages").json == []

    def test_names_are_kept_in_normal_form(self, acme):
        acme.send_json("POST", "/api/packages", {"name": "u\u0308"}, 201)
        response = acme.send_json("POST", "/api/packages", {"name": "\u00fc"}, 409)
        assert_refused(response, 409, "package '\u00fc' already exists")


class TestListing:
    def test_an_item_has_the_fields_that_clients_know(self, acme):
        version = acme.publish("widget", summary="Initial release")
        [item] = acme.get("/api/packages").json
        assert list(item)[:4] == ["name", "latest_version", "versions_count", "created_at"]
        assert item["latest_version"] == item["latest_live_version"] == version
        assert (item["name"], item["versions_count"], item["archived"]) == ("widget", 1, False)
        assert MICROS.fullmatch(item["created_at"])
        assert item["created_at"] == acme.get("/api/packages/widget").json["created_at"]

    def test_a_package_without_versions_is_listed(self, acme):
        acme.send_json("POST", "/api/packages", {"name": "p1"}, 201)
        [item] = acme.get("/api/packages").json
        assert (item["latest_version"], item["latest_live_version"]) == (None, None)
        assert item["versions_count"] == 0

    def test_the_latest_version_may_be_a_tombstone(self, acme):
        first = acme.publish("widget")
        acme.publish("widget")
        second = acme.delete("/api/packages/widget/versions/2", 200).json
        [item] = acme.get("/api/packages").json
        assert (item["latest_version"], item["latest_live_version"]) == (second, first)
        assert (item["versions_count"], item["archived"]) == (2, False)

    def test_packages_come_in_the_order_of_code_points(self, acme):
        names = ["a-b", "a.b", "a0", "aB", "a_b", "ab", "aé", "a日", "Z", "_", "0"]
        for name in names:
            acme.send_json("POST", "/api/packages", {"name": name}, 201)
        assert [each["name"] for each in acme.get("/api/packages").json] == sorted(names)

    def test_versions_come_newest_first_and_all_of_them(self, acme):
        for _ in range(11):
            acme.publish("widget")
        numbers = list(range(11, 0, -1))
        assert [v["version"] for v in acme.get("/api/packages/widget/versions").json] == numbers
        assert [v["version"] for v in acme.get("/api/packages/widget").json["versions"]] == numbers

    @pytest.mark.parametrize(
        "path", ["/api/packages", "/api/packages/widget", "/api/packages/widget/versions"]
    )
    def test_a_reading_costs_the_same_number_of_statements_however_much_there_is(self, acme, path):
        def cost():
            acme.delete("/api/packages/gadget")  # so that nothing is known from the last reading
            with statements(acme.hub) as seen:
                acme.get(path)
            return len(seen)

        for name in ("widget", "gadget"):
            acme.publish(name)
        acme.get(path)
        few = cost()
        for number in range(8):
            acme.publish("widget")
            acme.publish(f"gadget-{number}")
            acme.send_json("PUT", f"/api/packages/widget/aliases/a{number}", {"version": 1})
        acme.delete("/api/packages/widget/versions/3", 200)
        assert cost() == few
        assert 1 <= few <= 8

    def test_what_another_process_changed_is_seen_at_once(self, tmp_path):
        here = Hub.below(tmp_path)
        there = Hub.below(tmp_path)
        mine = here.organisation()
        theirs = Client(there, mine.slug, mine.key)
        for number in (1, 2, 3):
            for client, other in ((mine, theirs), (theirs, mine)):
                name = f"{client is mine}{number}"
                other.get(f"/api/packages/{name}", 404)
                client.publish(name)
                assert other.get(f"/api/packages/{name}").json["versions"][0]["version"] == 1
                assert name in {each["name"] for each in other.get("/api/packages").json}
                client.delete(f"/api/packages/{name}/versions/1", 200)
                other.get(f"/api/packages/{name}/latest", 404)
                other.get(f"/api/packages/{name}/versions/1/download", 410)
        mine.delete(f"/api/keys/{mine.key[:12]}")
        theirs.get("/api/packages", 401)
        for hub in (here, there):
            hub.registry.database.close()


class TestVersion:
    def test_it_has_the_eleven_fields_in_their_order_and_ours_behind(self, acme):
        version = acme.publish("widget", summary="Initial release", description="More\n\nof it\n")
        assert list(version)[:11] == VERSION_FIELDS
        assert set(version) - set(VERSION_FIELDS) == {"fork_verified", "published_by", "size"}
        assert (version["package"], version["version"], version["author"]) == ("widget", 1, "ann")
        assert SECONDS.fullmatch(version["date"])
        assert version["download_url"] == "/api/packages/widget/versions/1/download"
        assert (version["tombstoned"], version["tombstone_reason"]) == (False, "")
        assert version["forked_from"] is None
        assert (version["published_by"], version["size"]) == (
            "service",
            len(acme.download("widget", 1)),
        )

    def test_all_readings_show_the_same_version(self, acme):
        version = acme.publish("widget")
        assert acme.get("/api/packages/widget/versions/1").json == version
        assert acme.get("/api/packages/widget/versions").json == [version]
        assert acme.get("/api/packages/widget").json["versions"] == [version]

    def test_published_by_is_the_user_of_the_key(self, hub, acme):
        acme.key = hub.issue_key(acme.slug, user=f"{acme.slug}-ann")
        acme.__post_init__()
        assert acme.publish("widget")["published_by"] == f"{acme.slug}-ann"

    @pytest.mark.parametrize(
        "text",
        ["", " padded ", "two\nlines", "a\r\nb", "日本 😀", "# heading", '"quoted"', "<b>&amp;"],
    )
    @pytest.mark.parametrize("field", ["summary", "description"])
    def test_texts_are_kept_exactly_as_sent(self, acme, field, text):
        assert acme.publish("widget", **{field: text})[field] == text
        assert acme.get("/api/packages/widget/versions/1").json[field] == text

    def test_summaries_of_512_characters_are_fine(self, acme):
        assert len(acme.publish("widget", summary="ü" * 512)["summary"]) == 512

    @pytest.mark.parametrize(
        ("field", "length"), [("summary", 10_000), ("description", 100_000), ("description", 10**6)]
    )
    def test_nothing_but_all_fields_together_has_a_length(self, acme, field, length):
        made = acme.publish("widget", status="*", **{field: "x" * length})
        assert len(made.get(field, made)) == length

    def test_an_unknown_version_is_404(self, acme):
        acme.publish("widget")
        for path, text in (
            ("/api/packages/nothing", NO_PACKAGE),
            ("/api/packages/nothing/versions", NO_PACKAGE),
            ("/api/packages/nothing/versions/1", NO_VERSION),
            ("/api/packages/nothing/versions/1/download", NO_VERSION),
            ("/api/packages/nothing/versions/1/history", NO_PACKAGE),
            ("/api/packages/nothing/history", NO_PACKAGE),
            ("/api/packages/nothing/latest", NO_PACKAGE),
            ("/api/packages/nothing/aliases", NO_PACKAGE),
            ("/api/packages/widget/versions/2", NO_VERSION),
            ("/api/packages/widget/versions/2/download", NO_VERSION),
            ("/api/packages/widget/versions/2/history", NO_VERSION),
        ):
            assert_refused(acme.get(path, 404), 404, text)

    def test_a_publish_has_no_location(self, acme):
        response = acme.upload(PATH.format("widget"), package_zip("widget"))
        assert "Location" not in response.headers


class TestRefusals:
    """Each upload has every fault from its own on: the first one is the one that is told."""

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("application/json", b'{"file":"x","parent_version":"x"}'),
            ("application/x-www-form-urlencoded", b"file=x"),
            (None, b""),
        ],
    )
    def test_without_multipart_there_is_no_file(self, acme, content_type, body):
        response = acme.call("POST", PATH.format("w"), body, content_type=content_type)
        assert_refused(response, 400, NO_FILE)

    @pytest.mark.parametrize(
        "parts",
        [
            [],
            [text_part("file", package_zip("widget"))],
            [text_part("summary", "x"), text_part("parent_version", "x")],
            [file_part(package_zip("widget"), name="archive")],
            [file_part(package_zip("widget"), name="File")],
        ],
    )
    def test_without_a_file_part_there_is_no_file(self, acme, parts):
        assert_refused(post(acme, parts), 400, NO_FILE)

    def test_the_size_comes_before_everything_about_the_content(self, acme):
        parts = [file_part(b"x" * (10 * 1024**2 + 1)), text_part("parent_version", "x")]
        assert_refused(post(acme, parts), 400, TOO_LARGE)
        assert_refused(post(acme, parts[::-1]), 400, TOO_LARGE)

    @pytest.mark.parametrize("text", ["x", "1.0", "1e3", " ", "--1", "1 2", "0x1", "_1", "1__0"])
    def test_then_the_expected_head(self, acme, text):
        parts = [file_part(b"no zip"), text_part("parent_version", text)]
        assert_refused(post(acme, parts), 400, NOT_INTEGER)

    @pytest.mark.parametrize(
        "data",
        [b"", b"x", b"PK", package_zip("widget")[:-10], package_zip("widget")[-30:], b"\0" * 100],
    )
    def test_then_whether_it_is_a_zip(self, acme, data):
        parts = [file_part(data), text_part("parent_version", "7")]
        assert_refused(post(acme, parts), 400, NOT_ZIP)

    @pytest.mark.parametrize(
        "members",
        [
            {},
            {"readme": "x"},
            {"package.toml/": ""},
            {"a/package.toml": manifest("widget"), "b": ""},
            {"package.tom": "x"},
            {"a/b/package.toml": manifest("widget")},
        ],
        ids=repr,
    )
    def test_then_whether_there_is_a_manifest(self, acme, members):
        parts = [file_part(make_zip(members)), text_part("parent_version", "7")]
        assert_refused(post(acme, parts), 400, NO_MANIFEST)

    @pytest.mark.parametrize(
        "text",
        [
            "x",
            "[package",
            '[package]\nname = "widget"\nname = "widget"',
            b"\xef\xbb\xbf" + manifest("widget").encode(),
            manifest("widget").encode("utf-16"),
            b'[package]\nname = "\xff"\n',
            '[package]\nname = "a\x00b"',
            "a = " + "[" * 100_000,
            "a = " + "1" * 5000,
        ],
        ids=lambda text: repr(text[:20]),
    )
    def test_then_whether_the_manifest_is_toml(self, acme, text):
        parts = [file_part(toml_zip(text)), text_part("parent_version", "7")]
        assert_refused(post(acme, parts), 400, NOT_TOML)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[package]",
            '[package]\nname = ""',
            '[package]\nname = "  "\nauthor = "a"',
            "[package]\nname = 0",
            "[package]\nname = false",
            "[package]\nname = []",
            'package = "x"',
            '[[package]]\nname = "widget"',
            "package = 1",
            'name = "widget"\nauthor = "ann"',
            '[Package]\nname = "widget"\nauthor = "ann"',
        ],
    )
    def test_then_whether_it_has_a_name(self, acme, text):
        parts = [file_part(toml_zip(text)), text_part("parent_version", "7")]
        assert_refused(post(acme, parts), 400, NO_NAME)

    @pytest.mark.parametrize("name", ["widget", "other"])
    @pytest.mark.parametrize("author", ["", 'author = ""', 'author = "  "', "author = false"])
    def test_then_whether_it_has_an_author(self, acme, name, author):
        archive = toml_zip(f'[package]\nname = "{name}"\n{author}\n')
        parts = [file_part(archive), text_part("parent_version", "7")]
        assert_refused(post(acme, parts), 400, NO_AUTHOR)

    def test_a_name_without_end_is_not_told_to_its_end(self, acme):
        archive = toml_zip(f'[package]\nname = "{"x" * 200_000}"\nauthor = "a"\n')
        told = f"manifest name '{'x' * 120}…' does not match URL 'widget'"
        assert_refused(post(acme, [file_part(archive)]), 400, told)

    @pytest.mark.parametrize("name", ["other", "Widget", "widget2", "wid get", "../widget", "é"])
    def test_then_whether_the_name_is_that_of_the_url(self, acme, name):
        archive = toml_zip(f'[package]\nname = "{name}"\nauthor = "a"\n')
        parts = [file_part(archive), text_part("parent_version", "7")]
        assert_refused(
            post(acme, parts), 400, f"manifest name '{name}' does not match URL 'widget'"
        )

    @pytest.mark.parametrize(
        ("state", "head"), [("nothing", 0), ("registered", 0), ("two", 2), ("deleted", 2)]
    )
    def test_then_whether_the_head_is_the_expected_one(self, acme, state, head):
        if state == "registered":
            acme.send_json("POST", "/api/packages", {"name": "widget"}, 201)
        elif state != "nothing":
            acme.publish("widget")
            acme.publish("widget")
        if state == "deleted":
            acme.delete("/api/packages/widget")
        for wrong in (head + 1, head - 1, -head - 1, 10**30):
            parts = [file_part(package_zip("widget")), text_part("parent_version", str(wrong))]
            assert_refused(post(acme, parts), 409, "head moved", head=head)
        assert acme.publish("widget", parent_version=str(head))["version"] == head + 1

    @pytest.mark.parametrize("text", ["0", " 0 ", "+0", "-0", "00", "0_0", "", "0\n"])
    def test_the_expected_head_is_read_as_python_reads_it(self, acme, text):
        assert acme.publish("widget", parent_version=text)["version"] == 1

    @pytest.mark.parametrize(
        ("archive", "fields", "status"),
        [
            (b"", {}, 400),
            (make_zip({"readme": "x"}), {}, 400),
            (package_zip("widget", None), {}, 400),
            (package_zip("other"), {}, 400),
            (package_zip("widget"), {"parent_version": "3"}, 409),
            (package_zip("widget"), {"forked_from": "nothing@1"}, 400),
        ],
    )
    def test_a_refused_publish_makes_no_package_and_uses_no_number(
        self, acme, archive, fields, status
    ):
        acme.publish("widget", archive, status, **fields)
        assert acme.get("/api/packages").json == []
        assert acme.get("/api/organisation").json["stored_bytes"] == 0
        acme.publish("widget")
        acme.publish("widget", archive, status, **fields)
        assert acme.publish("widget")["version"] == 2

    def test_a_name_over_128_characters_is_refused(self, acme):
        name = "n" * 129
        assert "detail" in acme.publish(name, package_zip(name), 400)
        assert acme.get("/api/packages").json == []


class TestAuthor:
    @pytest.mark.parametrize(
        ("line", "field", "user", "author"),
        [
            ('author = "ann"', "bob", True, "ann"),
            ('author = " ann "', "bob", True, "ann"),
            ("author = 7", "bob", True, "7"),
            ("author = true", "", False, "True"),
            ("author = 1979-05-27", "", False, "1979-05-27"),
            ('author = "  "', "bob", True, "bob"),
            ("", " bob ", True, "bob"),
            ("", "", True, None),
            ("", "  ", True, None),
        ],
    )
    def test_it_is_the_first_that_is_named(self, hub, acme, line, field, user, author):
        username = f"{acme.slug}-user"
        if user:
            acme.key = hub.issue_key(acme.slug, user=username)
            acme.__post_init__()
        archive = toml_zip(f'[package]\nname = "widget"\n{line}\n')
        assert acme.publish("widget", archive, author=field)["author"] == (author or username)

    @pytest.mark.parametrize("author", ["x" * 256, "a\\nb", "a\\u2028b", "a\\u0000b", "a\\rb"])
    def test_it_is_one_line_of_at_most_255_characters(self, acme, author):
        archive = toml_zip(f'[package]\nname = "widget"\nauthor = "{author}"\n')
        assert "detail" in acme.publish("widget", archive, 400)

    @pytest.mark.parametrize("author", ["x" * 256, "a\nb", "a\0b"])
    def test_so_it_is_in_the_field(self, acme, author):
        assert "detail" in acme.publish("widget", package_zip("widget", None), 400, author=author)

    def test_255_characters_are_fine(self, acme):
        assert acme.publish("widget", package_zip("widget", "ü" * 255))["author"] == "ü" * 255


class TestNumbers:
    def test_they_are_1_2_3_whatever_the_manifest_says(self, acme):
        for number in (1, 2, 3):
            archive = toml_zip('[package]\nname = "widget"\nauthor = "a"\nversion = "9.9"\n')
            assert acme.publish("widget", archive)["version"] == number

    def test_they_are_never_used_again(self, acme):
        for _ in range(3):
            acme.publish("widget")
        acme.delete("/api/packages/widget/versions/3", 200)
        assert acme.publish("widget")["version"] == 4
        acme.delete("/api/packages/widget")
        assert acme.publish("widget")["version"] == 5

    def test_publishes_at_the_same_time_all_get_one(self, acme):
        found = []

        def publish():
            client = type(acme)(acme.hub, acme.slug, acme.key)
            path = PATH.format("widget")
            found.extend(
                client.upload(path, package_zip("widget", str(number)), status="*")
                for number in range(4)
            )

        threads = [threading.Thread(target=publish) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert [each.status_int for each in found] == [201] * 16
        assert sorted(each.json["version"] for each in found) == list(range(1, 17))

    def test_of_those_that_expect_the_same_head_one_wins(self, acme):
        acme.publish("widget")
        found = []

        def publish():
            client = type(acme)(acme.hub, acme.slug, acme.key)
            wish = {"parent_version": "1"}
            found.append(
                client.upload(PATH.format("widget"), package_zip("widget"), wish, status="*")
            )

        threads = [threading.Thread(target=publish) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert sorted(each.status_int for each in found) == [201, 409, 409, 409]
        lost = [each.json for each in found if each.status_int == 409]
        assert lost == [{"detail": "head moved", "head": 2}] * 3


class TestManifestOfTheRightPlace:
    def stored(self, acme, members):
        version = acme.publish("widget", make_zip(members))
        return version, read_zip(acme.download("widget", version["version"]))

    @pytest.mark.parametrize("name", ["package.toml", "PACKAGE.TOML", "Package.Toml"])
    def test_its_name_may_be_written_in_any_case(self, acme, name):
        _, members = self.stored(acme, {name: manifest("widget"), "readme": "x"})
        assert list(members) == ["package.toml", "readme", "HISTORY.md"]

    def test_a_vendored_one_before_it_does_not_count_and_stays(self, acme):
        vendored = manifest("vendored", "eve")
        version, members = self.stored(
            acme,
            {
                "sub/package.toml": vendored,
                "docs/history.md": "mine",
                "package.toml": manifest("widget"),
            },
        )
        assert version["author"] == "ann"
        assert members["sub/package.toml"].decode() == vendored
        assert members["docs/history.md"] == b"mine"

    def test_a_folder_of_its_name_does_not_matter(self, acme):
        _, members = self.stored(
            acme, {"sub/package.toml/": "", "package.toml": manifest("widget"), "x": ""}
        )
        assert list(members) == ["sub/package.toml/", "package.toml", "x", "HISTORY.md"]

    def test_it_may_be_in_the_one_top_folder_that_holds_everything(self, acme):
        _, members = self.stored(
            acme,
            {
                "widget/": "",
                "widget/Package.toml": manifest("widget"),
                "widget/lib/package.toml": manifest("vendored"),
                "widget/readme": "x",
            },
        )
        assert list(members) == [
            "widget/",
            "widget/package.toml",
            "widget/lib/package.toml",
            "widget/readme",
            "HISTORY.md",
        ]
        assert tomllib.loads(members["widget/package.toml"].decode())["package"]["version"] == 1
        assert members["widget/lib/package.toml"].decode() == manifest("vendored")
        again = acme.publish("widget", acme.download("widget", 1))
        assert again["version"] == 2
        assert list(read_zip(acme.download("widget", 2))) == list(members)

    def test_a_name_that_is_not_text_is_turned_into_it(self, acme):
        archive = toml_zip('[package]\nname = 7\nauthor = "a"\n')
        assert acme.publish("7", archive)["package"] == "7"

    def test_the_name_is_trimmed(self, acme):
        archive = toml_zip('[package]\nname = " widget "\nauthor = "a"\n')
        assert acme.publish("widget", archive)["package"] == "widget"


class TestLimits:
    def padded(self, size):
        """A package of exactly `size` bytes."""
        empty = package_zip("widget", filler=b"")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("package.toml", manifest("widget"))
            archive.writestr("filler", b"\1" * (size - len(empty)))
        grown = len(buffer.getvalue()) - size
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("package.toml", manifest("widget"))
            archive.writestr("filler", b"\1" * (size - len(empty) - grown))
        assert len(buffer.getvalue()) == size
        return buffer.getvalue()

    def test_10_mib_are_fine_and_one_byte_more_is_not(self, acme):
        limit = 10 * 1024**2
        assert acme.publish("widget", self.padded(limit))["version"] == 1
        assert acme.publish("widget", self.padded(limit + 1), 400) == {"detail": TOO_LARGE}

    def test_a_body_that_is_far_too_large_is_refused_unread(self, acme):
        class Unread:
            def read(self, *_):
                raise AssertionError("the body was read")

            readline = readlines = __iter__ = read

        environ = {
            "REQUEST_METHOD": "POST",
            "SCRIPT_NAME": "",
            "PATH_INFO": PATH.format("widget"),
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_AUTHORIZATION": f"Api-Key {acme.key}",
            "CONTENT_TYPE": "multipart/form-data; boundary=b",
            "CONTENT_LENGTH": str(1024**3),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": Unread(),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        started = []
        body = b"".join(acme.hub.wsgi(environ, lambda status, _: started.append(status)))
        assert started == ["400 Bad Request"]
        assert body.decode() == f'{{"detail":"{TOO_LARGE}"}}'

    def test_an_organisation_may_have_a_limit_of_its_own(self, acme):
        self.limit(acme, max_upload_size=1024**2)
        assert acme.publish("widget", self.padded(1024**2))["version"] == 1
        refused = acme.publish("widget", self.padded(1024**2 + 1), 400)
        assert refused == {"detail": "File size must not exceed 1 MB."}

    @pytest.mark.parametrize(
        "fields",
        [
            [text_part("x", b"x" * (2560 * 1024 + 1))],
            [text_part("description", b"x" * (2560 * 1024 + 1))],
            [text_part(f"f{number}", b"x" * 30_000) for number in range(100)],
            [text_part(f"f{number}", b"") for number in range(2000)],
        ],
        ids=["one", "description", "together", "many"],
    )
    def test_too_much_text_is_400_in_json(self, acme, fields):
        response = post(acme, [file_part(package_zip("widget")), *fields])
        assert response.status_int == 400
        assert list(response.json) == ["detail"]
        assert acme.get("/api/packages").json == []

    def test_text_below_the_limit_is_fine(self, acme):
        fields = [text_part(f"f{number}", b"x" * 2000) for number in range(990)]
        assert post(acme, [file_part(package_zip("widget")), *fields]).status_int == 201

    def limit(self, acme, **limits):
        with acme.hub.registry.database.write() as db:
            accounts = acme.hub.accounts(db)
            accounts.set_limits(accounts.organisation(acme.slug), Limits(**limits))

    def test_an_organisation_may_publish_only_so_many_versions(self, acme):
        self.limit(acme, max_versions=2)
        acme.publish("widget")
        acme.publish("gadget")
        acme.delete("/api/packages/widget")
        response = acme.upload(PATH.format("widget"), package_zip("widget"), status="4*")
        assert response.status_int in {403, 409, 413, 422, 429}
        assert "2" in response.json["detail"]
        self.limit(acme, max_versions=3)
        assert acme.publish("widget")["version"] == 2

    def test_an_organisation_may_keep_only_so_many_bytes(self, acme):
        size = acme.publish("widget")["size"]
        self.limit(acme, max_stored_bytes=size + 100)
        response = acme.upload(PATH.format("gadget"), package_zip("gadget"), status="4*")
        assert response.status_int in {403, 409, 413, 422, 429}
        assert str(size + 100) in response.json["detail"]
        acme.get("/api/packages/gadget", 404)
        acme.delete("/api/packages/widget/versions/1", 200)
        assert acme.get("/api/organisation").json["stored_bytes"] == 0
        assert acme.publish("gadget")["version"] == 1
