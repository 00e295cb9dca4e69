"""Publishing a page, and its refusals in the order of the checks: section 11 and D2, D22-D24, D27.

Which archives and paths are refused is tested in `test_bundles` and `test_schemas`, and what overlaps
and what a limit counts in `test_services`.
"""

import hashlib
import re
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from hubrepo.kernel.accounts.services import Limits
from tests.support.archives import make_zip, page_zip
from tests.support.contract import assert_refused, file_part, multipart, text_part
from tests.support.hub import Client, Hub

PAGES = "/api/pages"
MIB = 1024**2
SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
TABLES = ["pages_page", "pages_live", "pages_publication", "pages_file", "blobs_blob"]

NO_FILE = "no file provided"
BUNDLE = "invalid pages bundle - "
NOT_ZIP = BUNDLE + "file is not a valid ZIP"
NO_MANIFEST = BUNDLE + "missing top-level `pages.toml`"
NOT_TOML = BUNDLE + "`pages.toml` is not valid TOML"
NO_FILES = BUNDLE + "no files to publish"
NO_PATH = "pages.toml missing [publish].path"


def bundle(manifest, **files):
    """A page whose manifest is this text or bytes."""
    return make_zip({"pages.toml": manifest, **(files or {"index.html": "x"})})


def post(client, parts, **options):
    options.setdefault("content_type", "multipart/form-data; boundary=frontier")
    return client.call("POST", PAGES, multipart(parts), **options)


def limit(client, **limits):
    with client.hub.registry.database.write() as db:
        accounts = client.hub.accounts(db)
        accounts.set_limits(accounts.organisation(client.slug), Limits(**limits))


def rows(client):
    """How many rows each table has of the organisation."""
    owned = "where organisation_id = (select id from accounts_organisation where slug = :slug)"
    with client.hub.registry.database.read() as db:
        counts = (text(f"select count(*) from {table} {owned}") for table in TABLES)
        return [db.execute(each, {"slug": client.slug}).scalar_one() for each in counts]


def stages(client):
    """How many uploads were left half done."""
    return client.hub.registry.stores.main.sweep_stages(datetime.now(UTC) + timedelta(hours=1))


class TestAnswer:
    @pytest.mark.backend
    def test_a_page_has_the_fields_that_clients_know(self, acme):
        data = page_zip("dev/chess24")
        response = acme.upload(PAGES, data)
        page = response.json
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
        assert "Location" not in response.headers

    @pytest.mark.backend
    def test_publishing_again_is_201_and_replaces_all_that_was_served(self, hub, acme):
        acme.publish_page("x", {"index.html": "one", "old.txt": "old"})
        ann = Client(hub, acme.slug, hub.issue_key(acme.slug, user=f"{acme.slug}-ann"))
        data = page_zip("x", {"index.html": "two", "new.txt": "new"})
        page = ann.upload(PAGES + "/", data, status=201).json
        assert page["content_hash"] == hashlib.sha256(data).hexdigest()
        assert page["published_by"] == f"{acme.slug}-ann"
        assert acme.get(PAGES).json == [page]
        assert [acme.visit(f"x/{each}").text for each in ("", "new.txt")] == ["two", "new"]
        acme.visit("x/old.txt", 404)

    def test_a_publish_moves_the_time(self, tmp_path):
        hub = Hub.below(tmp_path)
        acme, start = hub.organisation(), datetime(2026, 11, 21, 9, 54, 0, 999_999, tzinfo=UTC)
        for second in (7, 9):
            hub.registry.clock = lambda second=second: start + timedelta(seconds=second)
            assert acme.publish_page("x")["published_at"] == f"2026-11-21T09:54:0{second}Z"
        hub.registry.database.close()

    def test_urls_are_right_below_a_prefix(self, hub, acme):
        below = Client(hub, acme.slug, acme.key, prefix="/workshop")
        url = f"/workshop/pages/{acme.slug}/a/b/"
        assert below.publish_page("a/b")["url"] == url
        assert below.get(PAGES).json[0]["url"] == below.get(f"{PAGES}/a/b").json["url"] == url
        assert below.visit("a/b/").text == "<h1>a/b</h1>\n"

    @pytest.mark.backend
    def test_a_page_may_be_called_like_a_part_of_the_hub_and_as_the_rules_allow(self, acme):
        for path in (
            *("api/pages", "index.html", "pages.toml", "a/.hidden", "a/..b", "a/...", "a.", "-"),
            *("a" * 255, "1/2/3/4/5/6/7/8"),
        ):
            acme.publish_page(path, {"index.html": path, "docs/pages.toml": "content"})
            assert acme.get(f"{PAGES}/{path}").json["path"] == path
            assert acme.visit(f"{path}/").text == path
            assert acme.visit(f"{path}/docs/pages.toml").text == "content"
            acme.delete(f"{PAGES}/{path}")
            acme.visit(f"{path}/", 404)


class TestForms:
    def test_the_form_of_the_workbench_is_read(self, acme):
        named = "form-data; name=file; filename=page.zip; filename*=utf-8''page.zip"
        parts = [
            ({"Content-Type": "application/zip", "Content-Disposition": named}, page_zip(None))
        ]
        for name, value in (("path", b"team/site"), ("author", "Zoë".encode())):
            kind, named = "text/plain; charset=utf-8", f"form-data; name={name}"
            parts.append(({"Content-Type": kind, "Content-Disposition": named}, value))
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

    def test_the_path_field_stands_in_for_a_manifest_and_mends_none(self, acme):
        said = {"path": "  from/form \n"}
        assert acme.upload(PAGES, page_zip(None), said).json["path"] == "from/form"
        assert acme.upload(PAGES, page_zip("one"), said).json["path"] == "one"
        response = acme.upload(PAGES, bundle("[publish"), said, 422)
        assert_refused(response, 422, NOT_TOML)
        response = acme.upload(PAGES, page_zip("/x"), said, 422)
        assert_refused(response, 422, "invalid publish path: '/x'")
        response = acme.upload(PAGES, page_zip(None), {"path": " "}, 422)
        assert_refused(response, 422, NO_MANIFEST)

    @pytest.mark.parametrize(
        ("user", "author", "published_by"),
        [
            (None, "  Zoë of the field\n", "Zoë of the field"),
            (None, " ", "service"),
            ("{}-ann", None, "{}-ann"),
            ("{}-ann", "bob", "{}-ann"),
        ],
    )
    def test_a_user_goes_before_the_author_field(self, hub, acme, user, author, published_by):
        acme.publish_page("x", author="somebody before")
        key = hub.issue_key(acme.slug, user=user and user.format(acme.slug))
        client = Client(hub, acme.slug, key)
        page = client.publish_page("x", **({} if author is None else {"author": author}))
        assert page["published_by"] == published_by.format(acme.slug)
        assert client.get(PAGES).json[0]["published_by"] == page["published_by"]

    def test_an_author_is_one_line_of_at_most_255(self, acme):
        for author in ("a\nb", "a\0b", "x" * 256, "a\u2028b"):
            refused = acme.publish_page("x", status=400, author=author)
            assert refused == {"detail": "author must be one line of at most 255 characters"}
        assert acme.get(PAGES).json == []
        assert acme.publish_page("x", author="x" * 255)["published_by"] == "x" * 255


class TestErrors:
    def test_each_has_its_text(self, acme):
        refusals = [
            ([], 400, NO_FILE),
            ([text_part("file", "x"), text_part("path", "x")], 400, NO_FILE),
            ([file_part(page_zip("x"), "upload")], 400, NO_FILE),
            ([file_part(b"")], 422, NOT_ZIP),
            ([file_part(b"no archive"), text_part("path", "/bad")], 422, NOT_ZIP),
            ([file_part(page_zip("x")[:-30])], 422, NOT_ZIP),
            ([file_part(page_zip(None))], 422, NO_MANIFEST),
            ([file_part(make_zip({"a/pages.toml": "[publish]\npath = 'x'"}))], 422, NO_MANIFEST),
            ([file_part(bundle("[publish"))], 422, NOT_TOML),
            ([file_part(bundle("[publish]"))], 422, NO_PATH),
            ([file_part(page_zip("/x", {}))], 422, "invalid publish path: '/x'"),
            ([file_part(page_zip("a" * 256))], 422, "publish path too long"),
            ([file_part(page_zip("1/2/3/4/5/6/7/8/9"))], 422, "publish path too deep"),
            ([file_part(page_zip(None)), text_part("path", "A")], 422, "invalid path segment: 'A'"),
            ([file_part(page_zip("x", {}))], 422, NO_FILES),
            ([file_part(page_zip("x", {"d/": ""}))], 422, NO_FILES),
        ]
        for parts, status, detail in refusals:
            assert_refused(post(acme, parts), status, detail)
        assert (acme.get(PAGES).json, stages(acme), rows(acme)) == ([], 0, [0] * len(TABLES))

    def test_no_body_and_other_bodies_have_no_file(self, acme):
        assert_refused(acme.call("POST", PAGES), 400, NO_FILE)
        assert_refused(acme.send_json("POST", PAGES, {"file": "x"}, 400), 400, NO_FILE)
        form = acme.call("POST", PAGES, b"file=x", content_type="application/x-www-form-urlencoded")
        assert_refused(form, 400, NO_FILE)

    @pytest.mark.backend
    def test_above_and_below_a_page_there_is_none_and_the_content_is_judged_first(self, acme):
        acme.publish_page("ov/a/b", {"index.html": "first"})
        for path in ("ov", "ov/a", "ov/a/b/c"):
            refused = acme.publish_page(path, status=409)
            assert refused == {"detail": "path overlaps published page 'ov/a/b'"}
            acme.get(f"{PAGES}/{path}", 404)
        for path, files, detail in (
            ("ov/C", None, "invalid path segment: 'C'"),
            ("ov", {}, NO_FILES),
        ):
            assert acme.publish_page(path, files, 422) == {"detail": detail}
        acme.publish_page("ov/a/bc")
        assert [each["path"] for each in acme.get(PAGES).json] == ["ov/a/bc", "ov/a/b"]
        assert acme.visit("ov/a/b/").text == "first"

    def test_a_key_that_may_only_read_publishes_nothing(self, hub, acme):
        reader = Client(hub, acme.slug, hub.issue_key(acme.slug, scopes=["read"]))
        reader.publish_page("x", status=403)
        assert acme.get(PAGES).json == []
        assert acme.events()[0].outcome == "refused"


class TestRefusalsLeaveNothing:
    REFUSED = (
        (400, None),
        (422, b"no archive"),
        (422, page_zip(None)),
        (422, bundle("[publish")),
        (422, page_zip("x", {})),
        (422, page_zip("x", {"index.html": "new", "../up": "x"})),
        (422, page_zip("x", {"index.html": "new", "A": "x", "a": "x"})),
        (422, page_zip("x", {"index.html": "new", "bomb.bin": bytes(8 * MIB)})),
        (422, page_zip("x", {"index.html": "new", "_redirects": "nonsense"})),
        (422, page_zip("x", {"index.html": "new", "_headers": "/*\n  Set-Cookie: a=b"})),
        (409, page_zip("x/y")),
    )

    @pytest.mark.backend
    def test_the_old_page_stays_as_it_was_and_no_number_is_used(self, acme):
        page = acme.publish_page("x", {"index.html": "old", "a.txt": "old"})
        before, tag = rows(acme), acme.visit("x/").headers["ETag"]
        for status, archive in self.REFUSED:
            acme.upload(PAGES, archive, status=status)
            assert (rows(acme), stages(acme)) == (before, 0)
        assert acme.get(PAGES).json == [page]
        assert [each["live"] for each in acme.get(f"{PAGES}/x/publications").json] == [True]
        assert [acme.visit(f"x/{each}").text for each in ("", "a.txt")] == ["old", "old"]
        assert acme.visit("x/").headers["ETag"] == tag
        acme.get(f"{PAGES}/x/y/publications", 404)
        assert acme.publish_page("x")["publication"] == 2

    def test_the_limits_of_archives_are_those_of_the_settings(self, tmp_path):
        hub = Hub.below(tmp_path, archives__max_members="3")
        acme = hub.organisation()
        refused = acme.publish_page("p", {f"{number}.txt": "x" for number in range(3)}, 422)
        assert refused["detail"].startswith(f"{BUNDLE}the archive has 4 members")
        acme.publish_page("p", {f"{number}.txt": "x" for number in range(2)})
        hub.registry.database.close()


class TestLimits:
    @staticmethod
    def padded(size):
        def with_filler(length):
            members = {"pages.toml": "[publish]\npath = 'x'", "f": b"\1" * length}
            return make_zip(members, zipfile.ZIP_STORED)

        data = with_filler(size - len(with_filler(0)))
        assert len(data) == size
        return data

    @pytest.mark.parametrize("megabytes", [10, 1])
    def test_a_file_may_be_so_large_and_not_a_byte_larger(self, acme, megabytes):
        if megabytes == 1:
            limit(acme, max_upload_size=MIB)
        acme.upload(PAGES, self.padded(megabytes * MIB))
        refused = acme.upload(PAGES, self.padded(megabytes * MIB + 1), status=400)
        assert_refused(refused, 400, f"File size must not exceed {megabytes} MB.")
        # Whatever is in it.
        refused = acme.upload(PAGES, b"no archive" * (megabytes * MIB // 10 + 1), status=400)
        assert_refused(refused, 400, f"File size must not exceed {megabytes} MB.")
        assert acme.get(f"{PAGES}/x").json["size"] == megabytes * MIB
        assert stages(acme) == 0

    def test_too_much_text_is_400_in_json(self, acme):
        parts = [file_part(page_zip("x")), text_part("x", b"x" * (2560 * 1024 + 1))]
        response = post(acme, parts)
        assert (response.status_int, list(response.json)) == (400, ["detail"])
        assert acme.get(PAGES).json == []

    @staticmethod
    def assert_full(client, number):
        refused = client.upload(PAGES, page_zip("one/more"), status="*")
        assert 400 <= refused.status_int < 500
        assert str(number) in refused.json["detail"]
        client.visit("one/more/", 404)

    def test_an_organisation_may_have_only_so_many_pages(self, tmp_path):
        hub = Hub.below(tmp_path, quotas__max_pages="1")
        acme, beta = hub.organisation(), hub.organisation()
        limit(beta, max_pages=2)
        for client in (acme, beta):
            client.publish_page("a")
        self.assert_full(acme, 1)
        beta.publish_page("b")
        self.assert_full(beta, 2)
        assert acme.publish_page("a")["publication"] == 2  # no page more than before
        hub.registry.database.close()

    def test_an_organisation_may_keep_only_so_many_bytes(self, acme):
        size = acme.publish_page("a")["size"]
        limit(acme, max_stored_bytes=size + 10)
        self.assert_full(acme, size + 10)
        assert acme.get("/api/organisation").json["stored_bytes"] == size


class TestIdempotency:
    def send(self, client, data, key="k", **fields):
        return client.upload(PAGES, data, fields, "*", headers={"Idempotency-Key": key})

    @pytest.mark.backend
    def test_a_retry_gets_the_first_answer_and_publishes_nothing(self, acme):
        data = page_zip("x")
        first = self.send(acme, data)
        acme.publish_page("x", {"index.html": "newer"})
        second = self.send(acme, data)
        assert (first.status_int, second.status_int) == (201, 201)
        assert first.body == second.body
        assert acme.visit("x/").text == "newer"
        assert len(acme.get(f"{PAGES}/x/publications").json) == 2
        assert len([each for each in acme.events() if each.action == "pages:publish"]) == 2

    def test_another_request_with_the_same_key_is_422(self, acme):
        self.send(acme, page_zip("x"))
        for archive, fields in ((page_zip("y"), {}), (page_zip("x"), {"author": "bob"})):
            response = self.send(acme, archive, **fields)
            assert (response.status_int, list(response.json)) == (422, ["detail"])
        assert acme.get(f"{PAGES}/x").json["publication"] == len(acme.get(PAGES).json) == 1

    def test_a_refused_request_may_be_tried_again(self, acme):
        acme.publish_page("a/b")
        assert self.send(acme, page_zip("a")).status_int == 409
        acme.delete(f"{PAGES}/a/b")
        assert self.send(acme, page_zip("a")).status_int == 201
