"""Uploads: section 5, checks 25 to 31, and what is left of those that fail."""

import io
import itertools
import random
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webob import Request

from hubrepo.kernel.accounts.services import Limits
from hubrepo.kernel.base import now
from tests.support.artifacts import assert_refused, caller, kept, sha256, with_my_lib
from tests.support.contract import file_part, multipart, text_part
from tests.support.hub import Hub

FORM = "multipart/form-data; boundary=frontier"
FILE = file_part(b"x")
NAMED = (text_part("product", "my-lib"), text_part("version", "v1"))
UPLOAD = "/product/upload"
LIMIT = 5000
# The most bytes that are taken from a socket or a store at once.
PIECE = 1024**2


def post(client, *parts, content_type=FORM):
    return client.call("POST", UPLOAD, multipart(parts), content_type=content_type)


class TestUpload:
    @pytest.mark.backend
    def test_its_bytes_are_told_by_their_sum(self, usr, my_lib):
        """Check 25."""
        content = bytes(range(256)) * 300
        told = usr.put(my_lib, "v1.0.0", content, "my-lib.tar.gz")
        path = "./products/my-lib/v1.0.0/my-lib.tar.gz"
        checksum = f"sha256:{sha256(content)}"
        named = {"product": my_lib, "version": "v1.0.0"}
        assert told == {**named, "path": path, "checksum": checksum, "size": len(content)}
        shown = usr.product()["versions"]["v1.0.0"]
        assert (shown["path"], shown["checksum"]) == (path, checksum)
        assert usr.fetched(my_lib, "v1.0.0") == content

    @pytest.mark.backend
    def test_a_version_never_changes(self, usr, my_lib):
        """Check 26."""
        usr.put(my_lib, "v1", b"first")
        for content in (b"other", b"first"):
            again = usr.form({"product": my_lib, "version": "v1"}, ("x", content))
            assert_refused(again, 409, "v1")
        assert usr.fetched(my_lib, "v1") == b"first"
        assert kept(usr) == {sha256(b"first")}

    @pytest.mark.backend
    def test_an_empty_file_is_a_version_and_case_makes_two(self, usr, my_lib):
        """Check 30."""
        assert usr.put(my_lib, "v1", b"")["size"] == 0
        usr.put(my_lib, "V1", b"large")
        assert [usr.fetched(my_lib, each) for each in ("v1", "V1")] == [b"", b"large"]

    def test_neither_the_order_of_fields_nor_the_case_of_the_type_matters(self, usr, my_lib):
        for number, order in enumerate(itertools.permutations(range(3))):
            parts = [text_part("product", my_lib), text_part("version", f"v{number}")]
            parts = [[*parts, file_part(b"x")][each] for each in order]
            kind = FORM.replace("multipart/form", "Multipart/FORM") if number else FORM
            assert post(usr, *parts, content_type=kind).status_int == 201


@pytest.mark.backend
def test_a_retry_gets_the_first_answer_and_nothing_is_done_twice(acme, usr, usr2, my_lib):
    """`Idempotency-Key`, as for packages; who may not upload is told no first answer."""

    def again(content=b"x", filename="x.bin", version="v1", who=usr):
        file, named = file_part(content, filename=filename), text_part("version", version)
        body, headers = multipart([NAMED[0], named, file]), {"Idempotency-Key": "k"}
        return who.call("POST", UPLOAD, body, content_type=FORM, headers=headers)

    usr.put(my_lib, "v1", b"other")
    assert_refused(again(), 409)  # which is kept as no first answer
    usr.delete("/product/delete/my-lib/v1")
    first, second = again(), again()
    assert (first.status_int, second.status_int) == (201, 201)
    assert (first.body, first.content_type) == (second.body, second.content_type)
    assert second.headers["Idempotent-Replayed"] == "true"
    for other in ({"content": b"y"}, {"filename": "y.bin"}, {"version": "v2"}):
        assert_refused(again(**other), 422)
    assert_refused(again(who=usr2), 403)
    assert usr.versions() == ["v1"]
    done = [each.action for each in acme.events() if each.outcome == "done"]
    assert done.count("artifacts:upload") == 2


@pytest.mark.usefixtures("my_lib")
class TestMalformed:
    def test_what_is_not_whole_is_400(self, usr):
        """Check 27."""
        product, version = NAMED
        for parts in (
            *((), (version, FILE), (product, FILE), NAMED, (*NAMED, text_part("file", "x"))),
            (*NAMED, file_part(b"x", name="File")),
            (*NAMED, file_part(b"x", filename="")),
            (product, text_part("version", ""), FILE),
            (text_part("product", ""), version, FILE),
            (file_part(b"my-lib", name="product"), version, FILE),
            (*NAMED, FILE, text_part("checksum", "")),
            (*NAMED, FILE, file_part(b"0" * 64, name="checksum")),
            (*NAMED, FILE, text_part("checksum", "md5:" + "0" * 32)),
            (*NAMED, FILE, text_part("checksum", "0" * 63)),
        ):
            assert_refused(post(usr, *parts), 400)
        assert (usr.versions(), kept(usr)) == ([], set())

    def test_what_is_no_form_is_400(self, usr):
        """Check 27."""
        types = ["application/json", "application/x-www-form-urlencoded", "text/plain", ""]
        for kind in [*types, "multipart/mixed"]:
            for body in (multipart([*NAMED, FILE]), b"", b"{}"):
                assert_refused(usr.call("POST", UPLOAD, body, content_type=kind), 400)

    @pytest.mark.backend
    def test_a_form_that_breaks_off_is_400(self, usr):
        """Check 27."""
        body = multipart([*NAMED, file_part(b"content" * 9)])
        usr.app.lint = False
        for end in range(0, len(body) - 4, 23):
            assert_refused(usr.call("POST", UPLOAD, body[:end], content_type=FORM), 400)
        for kind in ("multipart/form-data", "multipart/form-data; boundary=other"):
            assert_refused(usr.call("POST", UPLOAD, body, content_type=kind), 400)
        assert (usr.versions(), kept(usr)) == ([], set())

    def test_what_is_no_name_is_400(self, usr):
        """Check 28."""
        bad = ["../1", "a/b", "", ".x", "-x", "a b", "a" * 129, "ü", "v1\n", "..", "v1/", "a\\b"]
        for name in bad:
            assert_refused(usr.form({"product": "my-lib", "version": name}), 400)
            assert_refused(usr.form({"product": name, "version": "v1"}), 400)
        assert (usr.versions(), kept(usr)) == ([], set())

    def test_of_a_file_name_the_last_part_is_kept(self, usr):
        """Check 28."""
        saved = {"../../etc/passwd": "passwd", "C:\\files\\a b.zip": "a b.zip", "a\tb\x7f": "ab"}
        same = [".bashrc", "CON", "a:b?*<>|", "日本語.tar", "$(rm -rf)", "ü" * 127, "x" * 255]
        bad = ["/etc/", "..", ".", "a/..", "..\\", "\x01\x02", ".\x01.", "ü" * 128, "x" * 256]
        # In a header of a form a backslash stands for itself.
        for filename in bad:
            assert_refused(post(usr, *NAMED, file_part(b"x", filename=filename)), 400, "file name")
        assert kept(usr) == set()
        for filename, name in [*saved.items(), *zip(same, same, strict=True)]:
            answer = post(usr, *NAMED, file_part(b"x", filename=filename))
            assert answer.json["path"] == f"./products/my-lib/v1/{name}"
            usr.delete("/product/delete/my-lib/v1")
        told = "form-data; name=file; filename*=utf-8''gr%C3%B6%C3%9Fe.bin"
        answer = post(usr, *NAMED, ({"Content-Disposition": told}, b"x"))
        assert answer.json["path"] == "./products/my-lib/v1/größe.bin"


class TestRights:
    def test_it_takes_the_flag_or_an_admin(self, adm, usr, usr2, zusr, zadm, my_lib):
        """Check 29."""
        usr.grant(my_lib, usr2, "maintainer", "download", "delete")
        fields = {"product": my_lib, "version": "v1"}
        assert_refused(usr2.form(fields), 403)
        zusr.create("theirs")
        nowhere = usr.form({**fields, "product": "none"})
        assert_refused(nowhere, 404)
        for who, product in ((usr, "theirs"), (adm, "theirs"), (zusr, my_lib), (zadm, my_lib)):
            answer = who.form({**fields, "product": product})
            assert (answer.status_int, answer.body) == (404, nowhere.body)
        assert kept(usr) == kept(zusr) == set()
        adm.put(my_lib, "v1")
        # What is malformed is said before, and what is taken only to those who may upload.
        for fields, status in (
            ({"product": "none", "version": "../x"}, 400),
            ({"product": my_lib, "version": "v1", "checksum": "x"}, 400),
            *(({"product": my_lib, "version": version}, 403) for version in ("v1", "v2")),
        ):
            assert_refused(usr2.form(fields), status)


@pytest.mark.backend
def test_bytes_that_have_the_checksum_are_taken_and_others_not(usr, my_lib):
    """Check 30."""
    fields = {"product": my_lib, "version": "v1", "checksum": f"sha256:{sha256(b'y')}"}
    assert_refused(usr.form(fields, ("x", b"x")), 400, "checksum", sha256(b"x"))
    assert (usr.versions(), kept(usr)) == ([], set())
    digest = sha256(b"x")
    for number, checksum in enumerate((digest, digest.upper(), f"sha256:{digest.upper()}")):
        usr.put(my_lib, f"v{number}", b"x", checksum=checksum)


@pytest.fixture(scope="module")
def anybody(hub):
    """A token that has `my-lib`."""
    return with_my_lib(hub)


@pytest.fixture
def small(tmp_path):
    """A hub that takes artifacts of so many bytes."""
    hub = Hub.below(tmp_path, artifacts__max_upload_bytes=str(LIMIT), uploads__max_size="10")
    yield hub
    hub.registry.database.close()


def limited(hub, **limits):
    """A client who has `my-lib`, and whose organisation has limits of its own."""
    client = with_my_lib(hub)
    with hub.registry.database.write() as db:
        accounts = hub.accounts(db)
        accounts.set_limits(accounts.organisation(client.slug), Limits(**limits))
    return client


def stages(hub):
    """What uploads have left that did not end well."""
    return hub.registry.stores.main.sweep_stages(now(), dry_run=True)


class TestLimits:
    @pytest.mark.backend
    def test_a_file_over_the_limit_is_413_and_leaves_nothing(self, small):
        """Check 30."""
        client = limited(small)
        client.put("my-lib", "v1", b"x" * LIMIT)
        before = kept(client)
        for size in (LIMIT + 1, LIMIT * 3, LIMIT + 1024**2):
            answer = client.form({"product": "my-lib", "version": "v2"}, ("x", b"y" * size))
            assert_refused(answer, 413, str(LIMIT))
        assert (client.versions(), kept(client), stages(small)) == (["v1"], before, 0)

    def test_what_says_itself_that_it_is_too_long_is_not_read(self, small):
        client = limited(small)
        client.app.lint = False
        client.app.extra_environ |= {"CONTENT_LENGTH": str(10**12), "CONTENT_TYPE": FORM}
        client.app.extra_environ["wsgi.input"] = None
        assert_refused(client.app.request(UPLOAD, method="POST", expect_errors=True), 413)

    def test_an_organisation_s_own_limit_goes_before_and_0_is_none(self, small, tmp_path):
        for own in (LIMIT // 2, LIMIT * 2):
            client = limited(small, max_upload_size=own)
            client.put("my-lib", "v1", b"x" * own)
            fields = {"product": "my-lib", "version": "v2"}
            assert_refused(client.form(fields, ("x", b"x" * (own + 1))), 413)
        without = Hub.below(tmp_path / "0", artifacts__max_upload_bytes="0", uploads__max_size="10")
        limited(without).put("my-lib", "v1", b"x" * 300_000)
        without.registry.database.close()

    @pytest.mark.backend
    def test_more_than_there_is_room_for_is_413_and_leaves_nothing(self, small):
        client = limited(small, max_stored_bytes=1000)
        client.put("my-lib", "v1", b"x" * 600)
        answer = client.form({"product": "my-lib", "version": "v2"}, ("x", b"y" * 600))
        assert_refused(answer, 413, "1000")
        assert (client.versions(), stages(small)) == (["v1"], 0)
        # What is there already takes no room, and what is deleted gives its own back.
        client.put("my-lib", "v2", b"x" * 600)
        client.delete("/product/delete/my-lib")
        client.create("my-lib")
        client.put("my-lib", "v1", b"y" * 600)

    @pytest.mark.backend
    def test_no_refused_upload_leaves_a_stage(self, small):
        client = limited(small)
        client.put("my-lib", "v1")
        for who, product, version, status in (
            *((client, "my-lib", "v1", 409), (client, "my-lib", "..", 400)),
            *((client, "none", "v1", 404), (caller(client), "my-lib", "v2", 403)),
        ):
            assert_refused(who.form({"product": product, "version": version}), status)
        body = multipart([*NAMED, file_part(b"content" * 99)])[:-20]
        assert_refused(client.call("POST", UPLOAD, body, content_type=FORM), 400)
        assert (kept(client), stages(small)) == ({sha256(b"content")}, 0)


@pytest.mark.backend
@given(content=st.binary(max_size=5000))
def test_any_bytes_come_back_as_they_were(anybody, content):
    told = anybody.put("my-lib", "v1", content)
    assert told["checksum"] == f"sha256:{sha256(content)}"
    assert anybody.fetched("my-lib", "v1") == content
    anybody.delete("/product/delete/my-lib/v1")


def test_an_upload_is_read_and_a_download_sent_in_pieces(anybody):
    """Neither is ever whole in memory, however large it is."""
    content = random.Random(1).randbytes(3 * 1024**2)
    body = multipart([*NAMED, file_part(content)])

    class Noted(io.BytesIO):
        def read(self, size=-1):
            wanted.append(len(body) if size is None or size < 0 else size)
            return super().read(size)

    wanted, token = [], {"X-Api-Token": anybody.key}
    environ = {"wsgi.input": Noted(body), "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": FORM}
    asked = Request.blank(UPLOAD, environ, method="POST", headers=token)
    assert asked.get_response(anybody.hub.wsgi).status_int == 201
    assert 0 < max(wanted) <= PIECE
    asked = Request.blank("/product/download/my-lib/v1", headers=token)
    with closing(asked.get_response(anybody.hub.wsgi).app_iter) as sent:
        pieces = list(sent)
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= PIECE
