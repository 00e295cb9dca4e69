"""Registering, listing, publishing and its refusals, in the order of the checks: section 5."""

import re
import zipfile

import pytest
from webob import Request

from hubrepo.kernel.accounts.services import Limits
from tests.support.archives import make_zip, manifest, package_zip
from tests.support.contract import (
    NO_PACKAGE,
    NO_VERSION,
    VERSION_FIELDS,
    assert_refused,
    file_part,
    post_form,
    statements,
    text_part,
)
from tests.support.hub import Client, Hub

MICROS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")
SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
MIB = 1024**2

NOT_ZIP = "invalid package - file is not a valid ZIP"
NO_FILE = "no file provided"
TOO_LARGE = "File size must not exceed 10 MB."
NOT_INTEGER = "`parent_version` must be an integer"
PACKAGES = "/api/packages"
VERSIONS = "/api/packages/widget/versions"


def toml_zip(text):
    return make_zip({"package.toml": text, "readme": "x"})


def register(client, name, status=201):
    return client.send_json("POST", PACKAGES, {"name": name}, status)


class TestRegister:
    @pytest.mark.backend
    def test_a_new_package_is_empty(self, acme):
        response = register(acme, "p1")
        assert list(response.json)[:4] == ["name", "created_at", "versions", "aliases"]
        assert response.json["name"] == "p1"
        assert MICROS.fullmatch(response.json["created_at"])
        assert (response.json["versions"], response.json["aliases"]) == ([], [])
        assert acme.get("/api/packages/p1").json == response.json
        assert acme.get("/api/packages/p1/versions").json == []
        assert acme.get("/api/packages/p1/aliases").json == []
        assert_refused(acme.get("/api/packages/p1/latest", 404), 404, "no published versions")

    def test_a_body_that_names_no_package_is_refused(self, acme):
        for body in ([], [{"name": "p1"}], "p1", 1, None, True):
            response = acme.send_json("POST", PACKAGES, body, 400)
            assert_refused(response, 400, "body must be a JSON object")
        for body, fields in (
            ({"zz": 1, "aa": 2}, "['aa', 'zz']"),
            ({"name": "p1", "type": "app"}, "['type']"),
            ({"name": None, "b": 1, "a": 1, "C": 1}, "['C', 'a', 'b']"),
            ({"ü": 1}, "['ü']"),
        ):
            response = acme.send_json("POST", PACKAGES, body, 400)
            assert_refused(response, 400, f"unexpected fields: {fields}")
        assert_refused(acme.send_json("POST", PACKAGES, {}, 400), 400, "missing 'name'")
        for name in (None, "", "  ", "\n\t", 0, False, [], {}, 0.0):
            assert_refused(register(acme, name, 400), 400, "missing 'name'")

    @pytest.mark.backend
    def test_a_name_that_is_no_text_or_that_no_url_could_spell_is_400(self, acme):
        for name in (
            *(1, 1.5, True, ["a"], {"a": "b"}, 10**30),
            *("a/b", "../x", "..", ".", "a b", "a\0b", "a\nb", "-a", ".a", "a:b", "a%b", "a\\b"),
            *("@a", "a@1", "😀", "a\u200bb", "a\u202eb", "a\ud800", "a" * 129, "a" * 300),
        ):
            assert isinstance(register(acme, name, 400).json["detail"], str)
        assert acme.get(PACKAGES).json == []

    def test_the_name_is_trimmed_and_kept_in_normal_form(self, acme):
        assert register(acme, " p1\n").json["name"] == "p1"
        register(acme, "u\u0308")
        assert_refused(register(acme, "\u00fc", 409), 409, "package '\u00fc' already exists")

    @pytest.mark.backend
    def test_a_taken_name_is_409_for_ever(self, acme):
        register(acme, "registered")
        acme.publish("published")
        acme.publish("deleted")
        acme.delete("/api/packages/deleted")
        for name in ("registered", "published", "deleted"):
            assert_refused(register(acme, name, 409), 409, f"package '{name}' already exists")


class TestListing:
    @pytest.mark.backend
    def test_an_item_has_the_fields_that_clients_know(self, acme):
        version = acme.publish("widget", summary="Initial release")
        [item] = acme.get(PACKAGES).json
        assert list(item)[:4] == ["name", "latest_version", "versions_count", "created_at"]
        assert item["latest_version"] == item["latest_live_version"] == version
        assert (item["name"], item["versions_count"], item["archived"]) == ("widget", 1, False)
        assert MICROS.fullmatch(item["created_at"])
        assert item["created_at"] == acme.get("/api/packages/widget").json["created_at"]
        register(acme, "empty")
        acme.publish("widget")
        stone = acme.delete(f"{VERSIONS}/2", 200).json
        empty, item = acme.get(PACKAGES).json
        assert (item["latest_version"], item["latest_live_version"]) == (stone, version)
        assert (item["versions_count"], item["archived"]) == (2, False)
        assert (empty["latest_version"], empty["latest_live_version"]) == (None, None)
        assert empty["versions_count"] == 0

    @pytest.mark.backend
    def test_packages_come_in_the_order_of_code_points(self, acme):
        names = ["a-b", "a.b", "a0", "aB", "a_b", "ab", "aé", "a日", "Z", "_", "0"]
        for name in names:
            register(acme, name)
        assert [each["name"] for each in acme.get(PACKAGES).json] == sorted(names)

    @pytest.mark.backend
    def test_versions_come_newest_first_and_all_of_them(self, acme):
        for _ in range(11):
            acme.publish("widget")
        numbers = list(range(11, 0, -1))
        assert [each["version"] for each in acme.get(VERSIONS).json] == numbers
        shown = acme.get("/api/packages/widget").json["versions"]
        assert [each["version"] for each in shown] == numbers

    @pytest.mark.backend
    def test_a_reading_costs_the_same_number_of_statements_however_much_there_is(self, acme):
        def costs():
            for path in (PACKAGES, "/api/packages/widget", VERSIONS):
                acme.delete("/api/packages/gadget")  # so that nothing is known from the last one
                with statements(acme.hub) as seen:
                    acme.get(path)
                yield len(seen)

        for name in ("widget", "gadget"):
            acme.publish(name)
        list(costs())
        few = list(costs())
        for number in range(4):
            acme.publish("widget")
            acme.publish(f"gadget-{number}")
            acme.send_json("PUT", f"/api/packages/widget/aliases/a{number}", {"version": 1})
        acme.delete(f"{VERSIONS}/3", 200)
        assert list(costs()) == few
        assert set(few) <= set(range(1, 9))

    @pytest.mark.backend
    def test_what_another_process_changed_is_seen_at_once(self, tmp_path):
        here, there = Hub.below(tmp_path), Hub.below(tmp_path)
        mine = here.organisation()
        theirs = Client(there, mine.slug, mine.key)
        for number, client, other in ((1, mine, theirs), (2, theirs, mine), (3, mine, theirs)):
            name = f"p{number}"
            other.get(f"/api/packages/{name}", 404)
            client.publish(name)
            assert other.get(f"/api/packages/{name}").json["versions"][0]["version"] == 1
            assert name in {each["name"] for each in other.get(PACKAGES).json}
            client.delete(f"/api/packages/{name}/versions/1", 200)
            other.get(f"/api/packages/{name}/latest", 404)
            other.get(f"/api/packages/{name}/versions/1/download", 410)
        mine.delete(f"/api/keys/{mine.key[:12]}")
        theirs.get(PACKAGES, 401)
        for hub in (here, there):
            hub.registry.database.close()


class TestVersion:
    @pytest.mark.backend
    def test_it_has_the_eleven_fields_in_their_order_and_ours_behind(self, acme):
        fields = {"summary": "Initial release", "description": "More\n\nof it\n"}
        response = acme.upload(VERSIONS, package_zip("widget"), fields)
        assert "Location" not in response.headers
        version = response.json
        assert list(version)[:11] == VERSION_FIELDS
        assert set(version) - set(VERSION_FIELDS) == {"fork_verified", "published_by", "size"}
        assert (version["package"], version["version"], version["author"]) == ("widget", 1, "ann")
        assert SECONDS.fullmatch(version["date"])
        assert version["download_url"] == f"{VERSIONS}/1/download"
        assert (version["tombstoned"], version["tombstone_reason"]) == (False, "")
        assert (version["forked_from"], version["published_by"]) == (None, "service")
        assert version["size"] == len(acme.download("widget", 1))
        assert acme.get(f"{VERSIONS}/1").json == version
        assert acme.get(VERSIONS).json == [version]
        assert acme.get("/api/packages/widget").json["versions"] == [version]

    TEXTS = (
        *("", " padded ", "two\nlines", "a\r\nb", "日本 😀", "# heading", '"quoted"', "<b>&amp;"),
        *('"><script>alert(1)</script>', "'; DROP TABLE packages_version; --", "%s %d {0} ${x}"),
        *("\u202eevil\u202c", "\x1b[31mred", "\ufeff\ufffe\uffff", "\U0001f469\u200d\U0001f680"),
        *("e\u0301", "\r\nSet-Cookie: x=1\r\n\r\n", "ü" * 512, "x" * 4000),
    )

    @pytest.mark.backend
    def test_texts_are_kept_exactly_as_sent(self, acme):
        for number, text in enumerate(self.TEXTS, 1):
            path = f"{VERSIONS}/{number}"
            made = acme.publish("widget", summary=text, description=text)
            for version in (made, acme.get(path).json):
                assert (version["summary"], version["description"]) == (text, text)
            gone = acme.send_json("DELETE", path, {"reason": text})
            assert gone.json["tombstone_reason"] == text
            download = acme.get(f"{path}/download", 410)
            assert download.json["tombstone_reason"] == text
            assert "Set-Cookie" not in {*gone.headers, *download.headers}
        for field in ("summary", "description"):
            assert list(acme.publish("widget", status=400, **{field: "a\0b"})) == ["detail"]
        # Nothing but all fields together has a length.
        version = acme.publish("widget", summary="x" * 10_000, description="x" * 10**6)
        assert (len(version["summary"]), len(version["description"])) == (10_000, 10**6)

    def test_what_is_not_there_is_404(self, acme):
        acme.publish("widget")
        for rest in ("", "/versions", "/versions/1/history", "/history", "/latest", "/aliases"):
            assert_refused(acme.get(f"/api/packages/nothing{rest}", 404), 404, NO_PACKAGE)
        for path in ("nothing/versions/1", "widget/versions/2"):
            for rest in ("", "/download"):
                assert_refused(acme.get(f"/api/packages/{path}{rest}", 404), 404, NO_VERSION)
        assert_refused(acme.get(f"{VERSIONS}/2/history", 404), 404, NO_VERSION)


# The archives of each fault have all later faults as well: the first one is told.
FAULTS = {
    NOT_ZIP: [b"", b"x", b"PK", package_zip("x")[:-10], package_zip("x")[-30:], b"\0" * 100],
    "invalid package - missing `package.toml` file": [
        *map(make_zip, ({}, {"readme": "x"}, {"package.toml/": ""}, {"package.tom": "x"})),
        make_zip({"a/package.toml": manifest("widget"), "b": ""}),
        make_zip({"a/b/package.toml": manifest("widget")}),
    ],
    "invalid package - `package.toml` is not valid TOML": [
        *map(toml_zip, ("[package", manifest("widget").encode("utf-16"), "a = " + "[" * 100_000)),
    ],
    "invalid package - missing `[package] 'name' property` in package.toml` file": [
        *map(toml_zip, ("", 'package = "x"', '[[package]]\nname = "widget"')),
        toml_zip('[package]\nname = "  "\nauthor = "a"'),
        toml_zip('[Package]\nname = "widget"\nauthor = "ann"'),
    ],
    "invalid package - missing `[package] 'author' property` in package.toml` file": [
        toml_zip(f'[package]\nname = "{name}"\n{author}\n')
        for name in ("widget", "other")
        for author in ("", 'author = "  "', "author = false")
    ],
    **{
        f"manifest name '{name}' does not match URL 'widget'": [package_zip(name)]
        for name in ("other", "Widget", "widget2", "wid get", "../widget", "é", "<b>")
    },
    f"manifest name '{'x' * 120}…' does not match URL 'widget'": [package_zip("x" * 200_000)],
}


class TestRefusals:
    def test_without_a_file_part_there_is_no_file(self, acme):
        for content_type, body in (
            ("application/json", b'{"file":"x","parent_version":"x"}'),
            ("application/x-www-form-urlencoded", b"file=x"),
            (None, b""),
        ):
            response = acme.call("POST", VERSIONS, body, content_type=content_type)
            assert_refused(response, 400, NO_FILE)
        for parts in (
            [],
            [text_part("file", package_zip("widget"))],
            [text_part("summary", "x"), text_part("parent_version", "x")],
            [file_part(package_zip("widget"), name="archive")],
            [file_part(package_zip("widget"), name="File")],
        ):
            assert_refused(post_form(acme, VERSIONS, parts), 400, NO_FILE)

    def test_then_comes_the_size_up_to_10_mib(self, acme):
        parts = [file_part(b"x" * (10 * MIB + 1)), text_part("parent_version", "x")]
        assert_refused(post_form(acme, VERSIONS, parts), 400, TOO_LARGE)
        assert_refused(post_form(acme, VERSIONS, parts[::-1]), 400, TOO_LARGE)
        parts = [file_part(b"x" * 10 * MIB)]
        assert_refused(post_form(acme, VERSIONS, parts), 400, NOT_ZIP)

    def test_then_the_expected_head_as_python_reads_a_number(self, acme):
        for text in ("x", "1.0", "1e3", " ", "--1", "1 2", "0x1", "_1", "1__0"):
            parts = [file_part(b"no zip"), text_part("parent_version", text)]
            assert_refused(post_form(acme, VERSIONS, parts), 400, NOT_INTEGER)
        for number, text in enumerate(("0", " 0 ", "+0", "-0", "00", "0_0", "", "0\n")):
            assert acme.publish(f"p{number}", parent_version=text)["version"] == 1

    @pytest.mark.parametrize(("text", "archives"), FAULTS.items())
    def test_then_the_archive_and_its_manifest(self, acme, text, archives):
        for archive in archives:
            parts = [file_part(archive), text_part("parent_version", "7")]
            assert_refused(post_form(acme, VERSIONS, parts), 400, text)

    @pytest.mark.backend
    def test_then_whether_the_head_is_the_expected_one(self, acme):
        register(acme, "empty")
        for name in ("two", "deleted"):
            acme.publish(name)
            acme.publish(name)
        acme.delete("/api/packages/deleted")
        for name, head in (("nothing", 0), ("empty", 0), ("two", 2), ("deleted", 2)):
            for wrong in (head + 1, head - 1, -head - 1, 10**30):
                fields = {"parent_version": str(wrong)}
                response = acme.upload(
                    f"/api/packages/{name}/versions", package_zip(name), fields, status=409
                )
                assert_refused(response, 409, "head moved", head=head)
            assert acme.publish(name, parent_version=str(head))["version"] == head + 1

    @pytest.mark.backend
    def test_a_refused_publish_makes_no_package_and_uses_no_number(self, acme):
        def refuse_all():
            good = package_zip("widget")
            for archive in (b"", make_zip({"x": ""}), package_zip("widget", None)):
                acme.publish("widget", archive, 400)
            acme.publish("widget", package_zip("other"), 400)
            acme.publish("n" * 129, status=400)
            acme.publish("widget", good, 409, parent_version="3")
            acme.publish("widget", good, 400, forked_from="nothing@1")

        refuse_all()
        assert acme.get(PACKAGES).json == []
        assert acme.get("/api/organisation").json["stored_bytes"] == 0
        acme.publish("widget")
        refuse_all()
        assert acme.publish("widget")["version"] == 2


class TestAuthor:
    def test_it_is_the_first_that_is_named(self, hub, acme):
        username = f"{acme.slug}-user"
        user = Client(hub, acme.slug, hub.issue_key(acme.slug, user=username))
        for line, field, author in (
            ('author = " ann "', "bob", "ann"),
            ("author = 7", "bob", "7"),
            ('author = "  "', " bob ", "bob"),
            ("", "  ", username),
            ("", "", username),
        ):
            archive = toml_zip(f'[package]\nname = "widget"\n{line}\n')
            made = user.publish("widget", archive, author=field)
            assert (made["author"], made["published_by"]) == (author, username)

    def test_it_is_one_line_of_at_most_255_characters(self, acme):
        assert "detail" in acme.publish("widget", package_zip("widget", "a\\u0000b"), 400)
        silent = package_zip("widget", None)
        for author in ("x" * 256, "a\nb", "a\0b"):
            assert "detail" in acme.publish("widget", silent, 400, author=author)
        for author in ("ü" * 255, "a<b>", "%0d%0a", "\U0001f680", "a, b; c"):
            assert acme.publish("widget", silent, author=author)["author"] == author


@pytest.mark.backend
def test_numbers_are_given_by_the_hub_and_never_used_again(acme):
    archive = toml_zip('[package]\nname = "widget"\nauthor = "a"\nversion = "9.9"\n')
    for number in (1, 2, 3):
        assert acme.publish("widget", archive)["version"] == number
    acme.delete(f"{VERSIONS}/3", 200)
    assert acme.publish("widget")["version"] == 4
    acme.delete("/api/packages/widget")
    assert acme.publish("widget")["version"] == 5


def limit(client, **limits):
    with client.hub.registry.database.write() as db:
        accounts = client.hub.accounts(db)
        accounts.set_limits(accounts.organisation(client.slug), Limits(**limits))


class Unread:
    def read(self, *_):
        raise AssertionError("the body was read")

    readline = readlines = __iter__ = read


class TestLimits:
    def test_a_body_that_is_far_too_large_is_refused_unread(self, acme):
        request = Request.blank(VERSIONS, method="POST", authorization=f"Api-Key {acme.key}")
        request.content_type = "multipart/form-data; boundary=b"
        request.content_length = 1024**3
        request.environ |= {"REMOTE_ADDR": "127.0.0.1", "wsgi.input": Unread()}
        response = request.get_response(acme.hub.wsgi)
        assert (response.status_int, response.json) == (400, {"detail": TOO_LARGE})

    def test_an_organisation_may_have_a_limit_of_its_own(self, acme):
        def padded(size):
            members = {"package.toml": manifest("widget"), "filler": b""}
            short = size - len(make_zip(members, zipfile.ZIP_STORED))
            return make_zip(members | {"filler": bytes(short)}, zipfile.ZIP_STORED)

        limit(acme, max_upload_size=MIB)
        assert acme.publish("widget", padded(MIB))["version"] == 1
        refused = acme.publish("widget", padded(MIB + 1), 400)
        assert refused == {"detail": "File size must not exceed 1 MB."}

    def test_text_has_a_limit_in_all_and_so_have_fields(self, acme):
        archive, much = file_part(package_zip("widget")), 2560 * 1024 + 1
        for fields in (
            [text_part("x", b"x" * much)],
            [text_part("description", b"x" * much)],
            [text_part(f"f{number}", b"x" * 30_000) for number in range(100)],
            [text_part(f"f{number}", b"") for number in range(2000)],
        ):
            response = post_form(acme, VERSIONS, [archive, *fields], status=400)
            assert list(response.json) == ["detail"]
        assert acme.get(PACKAGES).json == []
        fields = [text_part(f"f{number}", b"x" * 2000) for number in range(990)]
        post_form(acme, VERSIONS, [archive, *fields], status=201)

    REFUSED = frozenset({403, 409, 413, 422, 429})

    @pytest.mark.backend
    def test_an_organisation_may_publish_only_so_many_versions(self, acme):
        limit(acme, max_versions=2)
        acme.publish("widget")
        acme.publish("gadget")
        acme.delete("/api/packages/widget")
        response = acme.upload(VERSIONS, package_zip("widget"), status="4*")
        assert response.status_int in self.REFUSED
        assert "2" in response.json["detail"]
        limit(acme, max_versions=3)
        assert acme.publish("widget")["version"] == 2

    @pytest.mark.backend
    def test_an_organisation_may_keep_only_so_many_bytes(self, acme):
        size = acme.publish("widget")["size"]
        limit(acme, max_stored_bytes=size + 100)
        path = "/api/packages/gadget/versions"
        response = acme.upload(path, package_zip("gadget"), status="4*")
        assert response.status_int in self.REFUSED
        assert str(size + 100) in response.json["detail"]
        acme.get("/api/packages/gadget", 404)
        acme.delete(f"{VERSIONS}/1", 200)
        assert acme.get("/api/organisation").json["stored_bytes"] == 0
        assert acme.publish("gadget")["version"] == 1
