"""Publishing a page, and its refusals in the order of the checks: section 11 and D2, D22-D24, D27."""

import hashlib
import io
import re
import stat
import threading
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from hubrepo.kernel.accounts.services import Limits
from tests.support.archives import make_zip, page_zip
from tests.support.contract import (
    assert_refused,
    file_part,
    multipart,
    statements,
    text_part,
)
from tests.support.hub import Client, Hub

PAGES = "/api/pages"
SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
TABLES = ["pages_page", "pages_live", "pages_publication", "pages_file", "blobs_blob"]

NO_FILE = "no file provided"
TOO_LARGE = "File size must not exceed 10 MB."
BUNDLE = "invalid pages bundle - "
NOT_ZIP = BUNDLE + "file is not a valid ZIP"
NO_MANIFEST = BUNDLE + "missing top-level `pages.toml`"
NOT_TOML = BUNDLE + "`pages.toml` is not valid TOML"
NO_FILES = BUNDLE + "no files to publish"
NO_PATH = "pages.toml missing [publish].path"
TOO_LONG = "publish path too long"
TOO_DEEP = "publish path too deep"

GOOD_PATHS = [
    *("x", "a/b", "a-b", "a_b", "a.b", "0", "-", "_", "a/.hidden", "a/..b", "a.", "a..", "a/..."),
    *("index.html", "a/index.html", "pages.toml", "api/pages", "a" * 255, "1/2/3/4/5/6/7/8"),
]
BAD_PATHS = [
    *((path, f"invalid publish path: {path!r}") for path in ("/", "/x", "x/", ".", "..", "./x")),
    *((path, f"invalid publish path: {path!r}") for path in ("../x", "x/..", "x/../y", "x/./y")),
    *((path, f"invalid publish path: {path!r}") for path in ("a//b", ".x", "..x", "//", "A/../b")),
    ("/" + "a" * 300, f"invalid publish path: '/{'a' * 119}…'"),
    ("a'/", 'invalid publish path: "a\'/"'),
    ("a/b/../../../c", "invalid publish path: 'a/b/../../../c'"),
    ("a" * 256, TOO_LONG),
    ("A" * 256, TOO_LONG),
    ("/".join("a" * 200), TOO_LONG),
    ("1/2/3/4/5/6/7/8/9", TOO_DEEP),
    ("A/2/3/4/5/6/7/8/9", TOO_DEEP),
    ("a/B/C", "invalid path segment: 'B'"),
    ("a b", "invalid path segment: 'a b'"),
    ("a/ b", "invalid path segment: ' b'"),
    ("ü", "invalid path segment: 'ü'"),
    ("a/u\u0308", "invalid path segment: 'u\u0308'"),
    ("a\\b", r"invalid path segment: 'a\\b'"),
    ("a'b", 'invalid path segment: "a\'b"'),
    ("a'\"b", "invalid path segment: 'a\\'\"b'"),
    ("a\nb", r"invalid path segment: 'a\nb'"),
    ("a\u200bb", r"invalid path segment: 'a\u200bb'"),
    ("٣", "invalid path segment: '٣'"),
    ("a%20b", "invalid path segment: 'a%20b'"),
    ("a@b/c", "invalid path segment: 'a@b'"),
    ("😀", "invalid path segment: '😀'"),
]


def toml_text(value):
    """A TOML string of any characters."""
    return '"' + "".join(f"\\U{ord(each):08X}" for each in value) + '"'


def bundle(manifest, **files):
    """A page whose manifest is this text or bytes."""
    return make_zip({"pages.toml": manifest, **(files or {"index.html": "x"})})


def at(path):
    """A page that wants any path at all."""
    return bundle(f"[publish]\npath = {toml_text(path)}\n")


def post(client, parts, **options):
    options.setdefault("content_type", "multipart/form-data; boundary=frontier")
    return client.call("POST", PAGES, multipart(parts), **options)


def limit(client, **limits):
    with client.hub.registry.database.write() as db:
        accounts = client.hub.accounts(db)
        accounts.set_limits(accounts.organisation(client.slug), Limits(**limits))


def rows(client):
    """How many rows each table has of the organisation."""
    with client.hub.registry.database.read() as db:
        owner = db.execute(
            text("select id from accounts_organisation where slug = :slug"), {"slug": client.slug}
        ).scalar_one()
        return {
            table: db.execute(
                text(f"select count(*) from {table} where organisation_id = :owner"),
                {"owner": owner},
            ).scalar_one()
            for table in TABLES
        }


def stages(client):
    """How many uploads were left half done."""
    return client.hub.registry.stores.main.sweep_stages(datetime.now(UTC) + timedelta(hours=1))


@pytest.fixture(scope="module")
def nobody(hub):
    """A client whose organisation has nothing, and gets nothing."""
    return hub.organisation()


class TestAnswer:
    def test_a_page_has_the_fields_that_clients_know(self, acme):
        data = page_zip("dev/chess24")
        page = acme.upload(PAGES, data).json
        known = ["path", "url", "published_at", "content_hash"]
        assert list(page)[:4] == known
        assert page["path"] == "dev/chess24"
        assert page["url"] == f"/pages/{acme.slug}/dev/chess24/"
        assert SECONDS.fullmatch(page["published_at"])
        assert page["content_hash"] == hashlib.sha256(data).hexdigest()
        assert page["published_by"] == "service"
        assert acme.get(f"{PAGES}/dev/chess24").json == page
        [item] = acme.get(PAGES).json
        assert list(item)[:5] == [*known[:3], "published_by", "content_hash"]
        assert item == page

    def test_publishing_again_is_201_and_replaces_all_that_was_served(self, hub, acme):
        acme.publish_page("x", {"index.html": "one", "old.txt": "old"})
        ann = Client(hub, acme.slug, hub.issue_key(acme.slug, user=f"{acme.slug}-ann"))
        data = page_zip("x", {"index.html": "two", "new.txt": "new"})
        page = ann.upload(PAGES, data, status=201).json
        assert page["content_hash"] == hashlib.sha256(data).hexdigest()
        assert page["published_by"] == f"{acme.slug}-ann"
        assert acme.get(PAGES).json == [page]
        assert acme.visit("x/").text == "two"
        assert acme.visit("x/new.txt").text == "new"
        acme.visit("x/old.txt", 404)

    def test_a_publish_moves_the_time(self, tmp_path):
        hub = Hub.below(tmp_path)
        acme = hub.organisation()
        for second in (7, 9):
            hub.registry.clock = lambda second=second: datetime(
                2026, 11, 21, 9, 54, second, 999_999, tzinfo=UTC
            )
            assert acme.publish_page("x")["published_at"] == f"2026-11-21T09:54:0{second}Z"
        hub.registry.database.close()

    def test_urls_are_right_below_a_prefix(self, hub, acme):
        below = Client(hub, acme.slug, acme.key, prefix="/workshop")
        url = f"/workshop/pages/{acme.slug}/a/b/"
        assert below.publish_page("a/b")["url"] == url
        assert below.get(PAGES).json[0]["url"] == url
        assert below.get(f"{PAGES}/a/b").json["url"] == url
        assert below.visit("a/b/").text == "<h1>a/b</h1>\n"

    def test_a_trailing_slash_is_no_redirect(self, acme):
        acme.upload(PAGES + "/", page_zip("x"))
        acme.visit("x/")

    def test_there_is_no_location(self, acme):
        assert "Location" not in acme.upload(PAGES, page_zip("x")).headers


class TestForms:
    def test_the_form_of_the_workbench_is_read(self, acme):
        data = page_zip(None)
        parts = [
            (
                {
                    "Content-Type": "application/zip",
                    "Content-Disposition": "form-data; name=file; filename=page.zip; "
                    "filename*=utf-8''page.zip",
                },
                data,
            ),
            *(
                (
                    {
                        "Content-Type": "text/plain; charset=utf-8",
                        "Content-Disposition": f"form-data; name={name}",
                    },
                    value,
                )
                for name, value in (("path", b"team/site"), ("author", "Zoë".encode()))
            ),
        ]
        response = post(acme, parts, content_type='multipart/form-data; boundary="frontier"')
        assert response.status_int == 201
        assert response.json["path"] == "team/site"
        assert response.json["published_by"] == "Zoë"

    def test_other_fields_are_ignored_and_the_last_of_each_counts(self, acme):
        parts = [
            text_part("path", "first"),
            file_part(b"no archive"),
            text_part("path", "last"),
            text_part("colour", "red"),
            file_part(page_zip(None, {"index.html": "x"}), "other"),
            file_part(page_zip(None, {"index.html": "last"})),
        ]
        assert post(acme, parts).json["path"] == "last"
        assert acme.visit("last/").text == "last"

    def test_text_that_is_not_utf8_is_a_bad_path_and_no_error_of_the_hub(self, acme):
        response = post(acme, [text_part("path", b"a\xff"), file_part(page_zip(None))])
        assert_refused(response, 422, "invalid path segment: 'a\ufffd'")

    def test_other_types_are_415_and_unreadable_forms_400(self, acme):
        response = acme.call("POST", PAGES, b"x", content_type="text/plain")
        assert_refused(response, 415, 'Unsupported media type "text/plain" in request.')
        response = acme.call("POST", PAGES, b"{", content_type="application/json")
        assert response.status_int == 400
        assert response.json["detail"].startswith("JSON parse error - ")
        response = acme.call("POST", PAGES, b"x", content_type="multipart/form-data; boundary=f")
        assert response.status_int == 400


class TestFieldsBesideTheManifest:
    def test_the_path_field_stands_in_for_a_manifest(self, acme):
        assert (
            acme.upload(PAGES, page_zip(None), {"path": "  from/form \n"}).json["path"]
            == "from/form"
        )

    def test_it_stands_in_where_the_manifest_is_silent(self, acme):
        page = acme.upload(PAGES, bundle("[publish]\nkeep = 1\n"), {"path": "x"}).json
        assert page["path"] == "x"

    def test_the_manifest_wins(self, acme):
        for path in ("two", "/bad/"):
            assert acme.upload(PAGES, page_zip("one"), {"path": path}).json["path"] == "one"
        assert len(acme.get(PAGES).json) == 1

    @pytest.mark.parametrize("path", ["", "  ", "\n"])
    def test_a_blank_field_is_none(self, acme, path):
        response = acme.upload(PAGES, page_zip(None), {"path": path}, 422)
        assert_refused(response, 422, NO_MANIFEST)

    def test_a_bad_manifest_is_not_mended_by_the_field(self, acme):
        response = acme.upload(PAGES, bundle("[publish"), {"path": "x"}, 422)
        assert_refused(response, 422, NOT_TOML)
        response = acme.upload(PAGES, at("/x"), {"path": "x"}, 422)
        assert_refused(response, 422, "invalid publish path: '/x'")

    @pytest.mark.parametrize(
        ("user", "author", "published_by"),
        [
            (None, None, "service"),
            (None, "Zoë of the field", "Zoë of the field"),
            (None, "  trimmed\n", "trimmed"),
            (None, " ", "service"),
            ("{}-ann", None, "{}-ann"),
            ("{}-ann", "bob", "{}-ann"),
        ],
    )
    def test_a_user_goes_before_the_author_field(self, hub, acme, user, author, published_by):
        key = hub.issue_key(acme.slug, user=user and user.format(acme.slug))
        client = Client(hub, acme.slug, key)
        fields = {} if author is None else {"author": author}
        page = client.publish_page("x", **fields)
        assert page["published_by"] == published_by.format(acme.slug)
        assert client.get(PAGES).json[0]["published_by"] == page["published_by"]

    def test_a_publish_without_an_author_takes_the_old_one_away(self, acme):
        acme.publish_page("x", author="bob")
        assert acme.publish_page("x")["published_by"] == "service"

    @pytest.mark.parametrize("author", ["a\nb", "a\0b", "x" * 256, "a\u2028b"])
    def test_an_author_is_one_line_of_at_most_255(self, acme, author):
        refused = acme.publish_page("x", status="*", author=author)
        assert list(refused) == ["detail"]
        assert acme.get(PAGES).json == []
        assert acme.publish_page("x", author="x" * 255)["published_by"] == "x" * 255


class TestErrors:
    @pytest.mark.parametrize(
        ("parts", "status", "detail"),
        [
            ([], 400, NO_FILE),
            ([text_part("file", "x"), text_part("path", "x")], 400, NO_FILE),
            ([file_part(page_zip("x"), "upload")], 400, NO_FILE),
            ([file_part(b"")], 422, NOT_ZIP),
            ([file_part(b"no archive"), text_part("path", "/bad")], 422, NOT_ZIP),
            ([file_part(page_zip("x")[:-30])], 422, NOT_ZIP),
            ([file_part(make_zip({}))], 422, NO_MANIFEST),
            ([file_part(page_zip(None))], 422, NO_MANIFEST),
            ([file_part(make_zip({"a/pages.toml": "[publish]\npath = 'x'"}))], 422, NO_MANIFEST),
            ([file_part(make_zip({"site/": "", "site/pages.toml": "x"}))], 422, NO_MANIFEST),
            ([file_part(bundle("[publish"))], 422, NOT_TOML),
            ([file_part(bundle(b"[publish]\npath = '\xff'"))], 422, NOT_TOML),
            ([file_part(bundle(b"\xef\xbb\xbf[publish]\npath = 'x'"))], 422, NOT_TOML),
            ([file_part(make_zip({"pages.toml": "[publish]\npath = '/x'"}))], 422, None),
            ([file_part(make_zip({"pages.toml": "[publish]\npath = 'x'"}))], 422, NO_FILES),
            ([file_part(make_zip({"pages.toml": "[publish]\npath='x'", "d/": ""}))], 422, NO_FILES),
        ],
    )
    def test_each_has_its_text(self, nobody, parts, status, detail):
        response = post(nobody, parts)
        assert_refused(response, status, detail or "invalid publish path: '/x'")
        assert (nobody.get(PAGES).json, stages(nobody)) == ([], 0)
        assert not any(rows(nobody).values())

    def test_no_body_and_other_bodies_have_no_file(self, acme):
        assert_refused(acme.call("POST", PAGES), 400, NO_FILE)
        assert_refused(acme.send_json("POST", PAGES, {"file": "x"}, 400), 400, NO_FILE)
        form = acme.call("POST", PAGES, b"file=x", content_type="application/x-www-form-urlencoded")
        assert_refused(form, 400, NO_FILE)

    @pytest.mark.parametrize(
        "manifest",
        ["", "path = 'x'", "[publish]", "[other]\npath = 'x'", "[publish]\nPath = 'x'"]
        + [f"[publish]\npath = {value}" for value in ("''", "'  '", "7", "true", "[]", "['x']")]
        + [f"[publish]\npath = {value}" for value in ("{}", "1.5", "1979-05-27", '"\\n"')]
        + ["publish = 'x'", "publish = 7", "[[publish]]\npath = 'x'", "publish = ['x']"],
    )
    def test_a_manifest_without_a_path_is_told_so(self, nobody, manifest):
        assert_refused(nobody.upload(PAGES, bundle(manifest), status=422), 422, NO_PATH)

    def test_the_size_comes_before_the_content(self, acme):
        limit(acme, max_upload_size=1024**2)
        response = acme.upload(PAGES, b"no archive" * 200_000, status=400)
        assert_refused(response, 400, "File size must not exceed 1 MB.")

    def test_the_path_comes_before_the_overlap_and_the_content_before_both(self, acme):
        acme.publish_page("a/b")
        assert_refused(
            acme.upload(PAGES, at("a/b/C"), status=422), 422, "invalid path segment: 'C'"
        )
        assert_refused(acme.upload(PAGES, at("a"), status=409), 409, overlaps("a/b"))
        empty = make_zip({"pages.toml": "[publish]\npath = 'a'"})
        assert_refused(acme.upload(PAGES, empty, status=422), 422, NO_FILES)

    def test_a_key_is_asked_for_first(self, hub):
        for headers, detail in (
            ({}, "Authentication credentials were not provided."),
            ({"Authorization": "Api-Key kpf_x"}, "invalid API key"),
        ):
            response = hub.app().request(
                PAGES, method="POST", body=b"x", headers=headers, status=401
            )
            assert_refused(response, 401, detail)
            assert response.headers["WWW-Authenticate"] == "Api-Key"

    def test_a_key_that_may_only_read_publishes_nothing(self, hub, acme):
        reader = Client(hub, acme.slug, hub.issue_key(acme.slug, scopes=["read"]))
        reader.publish_page("x", status=403)
        assert acme.get(PAGES).json == []


class TestPaths:
    @pytest.mark.parametrize("path", GOOD_PATHS)
    def test_a_good_one_is_published_shown_visited_and_taken_down(self, acme, path):
        assert acme.upload(PAGES, at(path)).json["path"] == path
        assert acme.get(f"{PAGES}/{path}").json["path"] == path
        assert acme.visit(f"{path}/").text == "x"
        acme.delete(f"{PAGES}/{path}")
        acme.visit(f"{path}/", 404)

    @pytest.mark.parametrize(("path", "detail"), BAD_PATHS, ids=ascii)
    def test_a_bad_one_is_refused_wherever_it_stands(self, nobody, path, detail):
        assert_refused(nobody.upload(PAGES, at(path), status=422), 422, detail)
        parts = [text_part("path", path), file_part(page_zip(None))]
        assert_refused(post(nobody, parts), 422, detail)
        assert nobody.get(PAGES).json == []

    @pytest.mark.parametrize("blank", [" ", "\t", "\n", "\r\n", "  \n"])
    def test_white_space_around_one_is_trimmed(self, acme, blank):
        assert acme.upload(PAGES, at(f"{blank}a/b{blank}")).json["path"] == "a/b"

    def test_it_is_quoted_as_given(self, acme):
        response = acme.upload(PAGES, at(" /x\n"), status=422)
        assert_refused(response, 422, "invalid publish path: ' /x\\n'")

    @pytest.mark.parametrize("name", ["pages.toml", "PAGES.TOML", "Pages.Toml"])
    def test_a_manifest_may_be_written_in_any_case_and_is_not_served(self, acme, name):
        acme.upload(PAGES, make_zip({name: "[publish]\npath = 'x'", "index.html": "i"}))
        acme.visit("x/")
        for each in {name, "pages.toml", "PAGES.TOML"}:
            acme.visit(f"x/{each}", 404)

    def test_one_in_a_folder_is_content(self, acme):
        acme.publish_page("x", {"docs/pages.toml": "[publish]\npath = 'y'", "docs/a": "a"})
        assert acme.visit("x/docs/pages.toml").text == "[publish]\npath = 'y'"

    def test_other_keys_and_tables_are_ignored(self, acme):
        manifest = "top = 1\n[publish]\npath = 'x'\nkeep = [1]\n[publish.deep]\na = 1\n[[other]]\n"
        assert acme.upload(PAGES, bundle(manifest)).json["path"] == "x"

    def test_no_top_folder_is_stripped(self, acme):
        acme.publish_page("x", {"site/index.html": "deep"})
        assert acme.visit("x/site/").text == "deep"
        acme.visit("x/", 404)


def overlaps(path):
    return f"path overlaps published page '{path}'"


class TestOverlap:
    @pytest.mark.parametrize("path", ["ov", "ov/a", "ov/a/b/c", "ov/a/b/c/d/e/f/g", "ov/a/b/-"])
    def test_above_and_below_a_page_there_is_none(self, acme, path):
        acme.publish_page("ov/a/b", {"index.html": "first"})
        assert acme.publish_page(path, status=409) == {"detail": overlaps("ov/a/b")}
        assert [each["path"] for each in acme.get(PAGES).json] == ["ov/a/b"]
        assert acme.visit("ov/a/b/").text == "first"
        acme.get(f"{PAGES}/{path}", 404)

    @pytest.mark.parametrize(
        "path",
        ["ov/a/bc", "ov/a/b-", "ov/a/b.", "ov/a/b0", "ov/a/b_c", "ov/a/-", "ov/b", "o", "ova"],
    )
    def test_beside_a_page_there_is_room(self, acme, path):
        acme.publish_page("ov/a/b")
        acme.publish_page(f"{path}/c")
        acme.publish_page(path + "x")
        assert len(acme.get(PAGES).json) == 3

    # In code point order: - . / 0 _ a: what is not below `a` lies on both sides of what is.
    @pytest.mark.parametrize(
        ("beside", "below"),
        [
            *[("a-b", "a/-"), ("a.b", "a/..x"), ("a0", "a/0"), ("a_b", "a/z"), ("ab", "a/_")],
            *[("a-/z", "a/b/c"), ("a.../b", "a/0"), ("a0/b", "a/z"), ("a0", "a/-"), ("a-b", "a/z")],
        ],
    )
    def test_names_that_only_begin_alike_are_neither_above_nor_below(self, acme, beside, below):
        acme.publish_page(beside)
        acme.publish_page(below)
        assert acme.publish_page("a", status=409) == {"detail": overlaps(below)}
        acme.delete(f"{PAGES}/{below}")
        acme.publish_page("a")
        assert acme.publish_page(below, status=409) == {"detail": overlaps("a")}

    def test_if_several_overlap_one_of_them_is_named(self, acme):
        for path in ("a/b/1", "a/b/2", "a/c"):
            acme.publish_page(path)
        refused = acme.publish_page("a", status=409)
        assert refused["detail"] in map(overlaps, ("a/b/1", "a/b/2", "a/c"))

    def test_all_seven_ancestors_are_seen(self, acme):
        deepest = "1/2/3/4/5/6/7/8"
        for depth in range(1, 8):
            above = deepest[: 2 * depth - 1]
            acme.publish_page(above)
            assert acme.publish_page(deepest, status=409) == {"detail": overlaps(above)}
            acme.delete(f"{PAGES}/{above}")
        acme.publish_page(deepest)

    def test_a_page_that_was_taken_down_is_in_nobody_s_way(self, acme):
        acme.publish_page("a")
        acme.delete(f"{PAGES}/a")
        acme.publish_page("a/b")
        acme.delete(f"{PAGES}/a/b")
        acme.publish_page("a")

    def test_another_organisation_is_in_nobody_s_way(self, acme, beta):
        acme.publish_page("a/b", {"index.html": "acme"})
        for path in ("a", "x/y"):
            beta.publish_page(path, {"index.html": "beta"})
        acme.publish_page("x", {"index.html": "acme"})
        assert acme.visit("a/b/").text == acme.visit("x/").text == "acme"
        assert beta.visit("a/").text == beta.visit("x/y/").text == "beta"

    def test_the_database_is_asked_a_bounded_number_of_times(self, acme):
        acme.publish_page("a/a/b/c/d")
        with statements(acme.hub) as few:
            acme.publish_page("a/b/b/c/d")
        with statements(acme.hub) as few_refused:
            acme.publish_page("a", status=409)
        for number in range(30):
            acme.publish_page(f"z/{number}/b/c/d")
        with statements(acme.hub) as many:
            acme.publish_page("z/x/b/c/d")
        assert len(many) == len(few)
        with statements(acme.hub) as refused:
            acme.publish_page("z", status=409)
        assert len(refused) == len(few_refused)


class TestRaces:
    def test_of_publishers_that_overlap_one_wins_each_time(self, acme):
        paths = ["a", "a/b", "a/b/c", "a/b/d"]
        found = []

        def publish(path):
            client = Client(acme.hub, acme.slug, acme.key)
            found.append((path, client.upload(PAGES, page_zip(path), status="*").status_int))

        threads = [threading.Thread(target=publish, args=(path,)) for path in paths * 2]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert {status for _, status in found} <= {201, 409}
        live = [each["path"] for each in acme.get(PAGES).json]
        assert set(live) == {path for path, status in found if status == 201}
        for path in live:
            assert not any(other.startswith(f"{path}/") for other in live)
        for path in paths:
            assert acme.visit(f"{path}/", "*").status_int == (200 if path in live else 404)


class TestMembers:
    @pytest.mark.parametrize(
        ("name", "path"),
        [
            ("a\\b.txt", "a/b.txt"),
            (".\\a\\b.txt", "a/b.txt"),
            ("./x.txt", "x.txt"),
            ("x/./y/../z.txt", "x/z.txt"),
            ("a//b.txt", "a/b.txt"),
            ("..dots/x.txt", "..dots/x.txt"),
            ("a/..b/...c.txt", "a/..b/...c.txt"),
            (".hidden/.x", ".hidden/.x"),
            ("ü/日本.txt", "ü/日本.txt"),
            ("a b'\"&.txt", "a b'\"&.txt"),
            ("@@x", "@@x"),
        ],
    )
    def test_names_become_paths(self, acme, name, path):
        acme.publish_page("p", {name: "content", "index.html": "i"})
        assert acme.visit(f"p/{path}").body == b"content"
        assert acme.get(f"{PAGES}/p").json["files"] == 2

    @pytest.mark.parametrize(
        "name",
        [
            *("../x.txt", "a/../../x.txt", "/etc/x.txt", "\\x.txt", "..\\x.txt", "C:/x.txt"),
            *("a\nb.txt", "a\x01.txt", "a\x7fb.txt", "c:\\x.txt", "//host/x.txt", "../", ".."),
        ],
        ids=ascii,
    )
    def test_a_name_that_leaves_the_site_is_refused_by_name(self, acme, name):
        acme.publish_page("p", {"index.html": "old"})
        before = rows(acme)
        refused = acme.publish_page("p", {"index.html": "new", name: "x"}, 422)
        assert refused["detail"].startswith(BUNDLE)
        visible = name.strip("./\\").split("\n")[0].split("\x01")[0].split("\x7f")[0]
        assert visible.split("\\")[-1] in refused["detail"]
        assert (acme.visit("p/").text, rows(acme), stages(acme)) == ("old", before, 0)

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("a.txt", "a.txt"),
            ("a.txt", "A.TXT"),
            ("a//b.txt", "a/b.txt"),
            ("./a.txt", "a.txt"),
            ("d\\a.txt", "d/a.txt"),
            ("x/../a.txt", "a.txt"),
            ("\u00fc.txt", "u\u0308.txt"),
            ("stra\u00dfe.txt", "STRASSE.txt"),
            ("a", "a/b"),
            ("A", "a/b"),
            ("d/pages.toml", "d/PAGES.toml"),
            ("Pages.toml", "b.txt"),
        ],
        ids=ascii,
    )
    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_members_that_collide_are_refused_by_name(self, nobody, first, second):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name in ("pages.toml", "index.html", first, second):
                archive.writestr(name, "[publish]\npath = 'p'")
        detail = nobody.upload(PAGES, buffer.getvalue(), status=422).json["detail"]
        assert detail.startswith(BUNDLE)
        last = [each.replace("\\", "/").split("/")[-1] for each in (first, second)]
        assert any(each in detail for each in last)
        assert nobody.get(PAGES).json == []

    @pytest.mark.parametrize(
        "mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK]
    )
    def test_links_and_devices_are_refused_by_name(self, nobody, mode):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("pages.toml", "[publish]\npath = 'p'")
            info = zipfile.ZipInfo("odd.txt")
            info.create_system, info.external_attr = 3, (mode | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
        detail = nobody.upload(PAGES, buffer.getvalue(), status=422).json["detail"]
        assert detail.startswith(BUNDLE)
        assert "odd.txt" in detail

    def test_modes_and_empty_folders_are_dropped(self, acme):
        acme.publish_page("p", {"index.html": "i", "empty/": "", "d/": "", "d/x": "x"})
        assert acme.get(f"{PAGES}/p").json["files"] == 2
        acme.visit("p/empty", 404)
        acme.visit("p/empty/", 404)

    @pytest.mark.parametrize("flag", [0x1, 0x40])
    def test_an_encrypted_member_is_refused_by_name(self, nobody, flag):
        data = bytearray(page_zip("p", {"index.html": "i", "secret.txt": "s"}))
        for signature, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            start = data.rindex(signature)
            data[start + at] |= flag
        detail = nobody.upload(PAGES, bytes(data), status=422).json["detail"]
        assert "secret.txt" in detail

    def test_a_wrong_checksum_is_refused_by_name(self, acme):
        data = bytearray(make_zip({"pages.toml": "[publish]\npath='p'", "a.txt": "abc"}, 0))
        data[data.index(b"abc")] ^= 1
        assert "a.txt" in acme.upload(PAGES, bytes(data), status=422).json["detail"]

    def test_a_bomb_is_refused_by_name(self, acme):
        data = page_zip("p", {"index.html": "i", "bomb.bin": b"\0" * (8 * 1024**2)})
        assert "bomb.bin" in acme.upload(PAGES, data, status=422).json["detail"]

    @pytest.mark.parametrize(
        "kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    )
    def test_what_cannot_be_served_as_it_lies_is_refused_by_name(self, acme, kind):
        data = make_zip({"pages.toml": "[publish]\npath='p'", "a.txt": "abc" * 50}, kind)
        if kind in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            acme.upload(PAGES, data)
            assert acme.visit("p/a.txt").text == "abc" * 50
        else:
            detail = acme.upload(PAGES, data, status=422).json["detail"]
            assert re.search(r"pages\.toml|a\.txt", detail)

    @pytest.mark.parametrize(
        ("setting", "value", "files"),
        [
            ("max_members", "3", {f"{number}.txt": "x" for number in range(4)}),
            ("max_expanded", "1000", {"a.txt": "x" * 600, "b.txt": "y" * 600}),
            ("max_name", "20", {"n" * 21: "x"}),
            ("max_depth", "3", {"a/b/c/d": "x"}),
        ],
    )
    def test_the_limits_of_archives_hold(self, tmp_path, setting, value, files):
        hub = Hub.below(tmp_path, **{f"archives__{setting}": value})
        acme = hub.organisation()
        assert acme.publish_page("p", files, 422)["detail"].startswith(BUNDLE)
        acme.publish_page("p", {"index.html": "x"})
        hub.registry.database.close()

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_two_manifests_are_refused(self, acme):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, path in (("pages.toml", "a"), ("pages.toml", "b"), ("index.html", "c")):
                archive.writestr(name, f"[publish]\npath = '{path}'")
        detail = acme.upload(PAGES, buffer.getvalue(), status=422).json["detail"]
        assert "pages.toml" in detail
        assert acme.get(PAGES).json == []


REFUSED = [
    (400, None),
    (422, b"no archive"),
    (422, page_zip(None)),
    (422, bundle("[publish")),
    (422, page_zip("x", {})),
    (422, page_zip("x", {"index.html": "new", "../up": "x"})),
    (422, page_zip("x", {"index.html": "new", "A": "x", "a": "x"})),
    (422, page_zip("x", {"index.html": "new", "_redirects": "nonsense"})),
    (422, page_zip("x", {"index.html": "new", "_headers": "/*\n  Set-Cookie: a=b"})),
    (409, page_zip("x/y")),
]


class TestRefusalsLeaveNothing:
    @pytest.mark.parametrize(("status", "archive"), REFUSED)
    def test_the_old_page_stays_as_it_was(self, acme, status, archive):
        page = acme.publish_page("x", {"index.html": "old", "a.txt": "old"})
        before, tag = rows(acme), acme.visit("x/").headers["ETag"]
        acme.upload(PAGES, archive, status=status)
        assert acme.get(PAGES).json == [page]
        assert [each["live"] for each in acme.get(f"{PAGES}/x/publications").json] == [True]
        assert [acme.visit(f"x/{each}").text for each in ("", "a.txt")] == ["old", "old"]
        assert acme.visit("x/").headers["ETag"] == tag
        assert (rows(acme), stages(acme)) == (before, 0)

    def test_a_refused_publish_uses_no_number(self, acme):
        acme.publish_page("x")
        acme.publish_page("x", {}, 422)
        acme.publish_page("x", {"../a": "x"}, 422)
        acme.publish_page("x/y", status=409)
        assert acme.publish_page("x")["publication"] == 2

    def test_a_first_publish_that_is_refused_leaves_no_page(self, acme):
        acme.publish_page("a/b")
        before = rows(acme)
        acme.publish_page("a", status=409)
        assert rows(acme) == before
        acme.get(f"{PAGES}/a/publications", 404)


class TestLimits:
    @staticmethod
    def padded(size):
        def with_filler(length):
            members = {"pages.toml": "[publish]\npath = 'x'", "f": b"\1" * length}
            return make_zip(members, zipfile.ZIP_STORED)

        data = with_filler(size - len(with_filler(0)))
        assert len(data) == size
        return data

    def test_10_mib_are_fine_and_one_byte_more_is_not(self, acme):
        acme.upload(PAGES, self.padded(10 * 1024**2))
        refused = acme.upload(PAGES, self.padded(10 * 1024**2 + 1), status=400)
        assert_refused(refused, 400, TOO_LARGE)
        assert acme.get(f"{PAGES}/x").json["size"] == 10 * 1024**2
        assert stages(acme) == 0

    def test_an_organisation_may_have_a_limit_of_its_own(self, acme):
        limit(acme, max_upload_size=1024**2)
        acme.upload(PAGES, self.padded(1024**2))
        refused = acme.upload(PAGES, self.padded(1024**2 + 1), status=400)
        assert_refused(refused, 400, "File size must not exceed 1 MB.")

    def test_too_much_text_is_400_in_json(self, acme):
        parts = [file_part(page_zip("x")), text_part("x", b"x" * (2560 * 1024 + 1))]
        response = post(acme, parts)
        assert (response.status_int, list(response.json)) == (400, ["detail"])
        assert acme.get(PAGES).json == []

    def assert_full(self, client, number):
        refused = client.upload(PAGES, page_zip("one/more"), status="*")
        assert 400 <= refused.status_int < 500
        assert str(number) in refused.json["detail"]
        client.visit("one/more/", 404)

    def test_an_organisation_may_have_only_so_many_pages(self, acme):
        limit(acme, max_pages=2)
        acme.publish_page("a")
        acme.publish_page("b")
        self.assert_full(acme, 2)
        assert acme.publish_page("a")["publication"] == 2  # no page more than before
        acme.delete(f"{PAGES}/b")
        acme.publish_page("one/more")
        assert acme.send_json(
            "POST", f"{PAGES}/b/rollback", {"publication": 1}, "*"
        ).status_int in {*(403, 409, 413, 422, 429)}
        acme.visit("b/", 404)

    def test_the_hub_s_limit_is_for_those_without_one(self, tmp_path):
        hub = Hub.below(tmp_path, quotas__max_pages="1")
        acme, beta = hub.organisation(), hub.organisation()
        limit(beta, max_pages=2)
        for client in (acme, beta):
            client.publish_page("a")
        self.assert_full(acme, 1)
        beta.publish_page("b")
        self.assert_full(beta, 2)
        hub.registry.database.close()

    def test_an_organisation_may_keep_only_so_many_bytes(self, acme):
        size = acme.publish_page("a")["size"]
        limit(acme, max_stored_bytes=size + 10)
        self.assert_full(acme, size + 10)
        assert acme.get("/api/organisation").json["stored_bytes"] == size


class TestIdempotency:
    def send(self, client, data, key="k", **fields):
        return client.upload(PAGES, data, fields, "*", headers={"Idempotency-Key": key})

    def test_a_retry_gets_the_first_answer_and_publishes_nothing(self, acme):
        data = page_zip("x")
        first = self.send(acme, data)
        acme.publish_page("x", {"index.html": "newer"})
        second = self.send(acme, data)
        assert (first.status_int, second.status_int) == (201, 201)
        assert first.body == second.body
        assert acme.visit("x/").text == "newer"
        assert len(acme.get(f"{PAGES}/x/publications").json) == 2
        done = [each for each in acme.events() if each.action == "pages:publish"]
        assert len(done) == 2

    @pytest.mark.parametrize(
        ("archive", "fields"), [(page_zip("y"), {}), (page_zip("x"), {"author": "bob"})]
    )
    def test_another_request_with_the_same_key_is_422(self, acme, archive, fields):
        self.send(acme, page_zip("x"))
        response = self.send(acme, archive, **fields)
        assert (response.status_int, list(response.json)) == (422, ["detail"])
        assert len(acme.get(PAGES).json) == 1

    def test_a_refused_request_may_be_tried_again(self, acme):
        acme.publish_page("a/b")
        assert self.send(acme, page_zip("a")).status_int == 409
        acme.delete(f"{PAGES}/a/b")
        assert self.send(acme, page_zip("a")).status_int == 201

    def test_without_a_key_every_publish_counts(self, acme):
        data = page_zip("x")
        numbers = [acme.upload(PAGES, data).json["publication"] for _ in range(3)]
        assert numbers == [1, 2, 3]
