"""Products, and who sees them: section 5, checks 14 to 19, 36 to 38, 40 and 41."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.artifacts import assert_refused, kept, sha256, with_my_lib
from tests.support.contract import same_answer

ALL_FLAGS = {"maintainer": True, "download": True, "upload": True, "delete": True}
BAD_NAMES = ["", "../x", "a/b", ".x", "-x", "_x", "a b", "a" * 129, "ü", "a\n", "a\0", "a\\b"]
GOOD_NAMES = ["a", "A.b_c-1", "0", "a" * 128, "a..", "CON", "a.tar.gz"]


class TestCreate:
    @pytest.mark.backend
    def test_its_creator_may_do_everything_and_nobody_else_anything(self, usr, usr2):
        """Checks 14 and 17."""
        wish = {"name": "my-lib", "tokens": {usr2.digest: ALL_FLAGS}, "versions": {"v": {}}}
        made = usr.send_json("PUT", "/product/create", wish, 201).json
        assert usr.product() == made
        tokens = {sha256(usr.key): ALL_FLAGS}
        assert made == {"name": "my-lib", "tokens": tokens, "versions": {}}

    @pytest.mark.backend
    def test_a_name_is_taken_once_in_each_organisation(self, adm, usr, usr2, zusr, zadm):
        """Check 15."""
        usr.create("my-lib")
        for who in (usr, usr2, adm):
            who.refused(409, "PUT", "/product/create", {"name": "my-lib"}, "my-lib")
        zusr.create("my-lib")
        usr.put("my-lib", "v1", b"acme")
        zusr.put("my-lib", "v1", b"zeta")
        assert (usr.fetched("my-lib", "v1"), zusr.fetched("my-lib", "v1")) == (b"acme", b"zeta")
        zadm.delete("/product/delete/my-lib")
        assert usr.versions() == ["v1"]
        assert list(usr.product()["tokens"]) == [usr.digest]

    def test_what_is_no_name_is_400(self, adm, usr):
        """Check 16."""
        for name in [*BAD_NAMES, "a%2fb", 5, None, True, [], {}, ["a"]]:
            usr.refused(400, "PUT", "/product/create", {"name": name}, "name")
        for body in (b"", b"{}", b'{"Name": "a"}', b"[]", b'"a"', b"{bad", b"null"):
            assert_refused(usr.call("PUT", "/product/create", body), 400)
        assert adm.accessible() == []

    @pytest.mark.backend
    def test_names_have_letters_digits_and_three_marks_and_are_sorted_by_code_points(
        self, adm, usr
    ):
        """Checks 16 and 18."""
        more = ["my-lib", "My-Lib", "b", "B", "a.b", "a-b", "a_b", "aa", "z9", "z10"]
        names = [*GOOD_NAMES, *more]
        for name in names:
            usr.create(name)
            assert usr.product(name)["name"] == name
        assert usr.accessible() == adm.accessible() == sorted(names)


class TestAccess:
    def test_everybody_sees_what_he_has_to_do_with_and_admins_see_all(
        self, adm, usr, usr2, zadm, zusr
    ):
        """Check 18."""
        for who in (adm, usr, usr2, zadm):
            assert who.accessible() == []
        usr.create("my-lib")
        zusr.create("theirs")
        assert usr.accessible() == ["my-lib"]
        assert usr2.get("/product/access").body == b"[]"
        assert adm.accessible() == ["my-lib"]
        assert zadm.accessible() == ["theirs"]

    def test_a_product_is_shown_to_those_who_have_a_grant_there(self, adm, usr, usr2, zadm, zusr):
        """Check 19."""
        usr.create("my-lib")
        nowhere = usr.refused(404, "GET", "/product/fetch/never-was")
        for path in ("/product/fetch/my-lib", "/product/fetch/my-lib?x=1"):
            usr2.refused(403, "GET", path)
            assert adm.get(path).json == usr.get(path).json
            for who in (zusr, zadm):
                assert same_answer(who.refused(404, "GET", path)) == same_answer(nowhere)

    def test_what_cannot_be_a_name_is_404(self, adm, usr, my_lib):
        """Checks 19 and 35."""
        usr.put(my_lib, "v1")
        shown = "my-lib/v1 %2e%2e .. my-lib// /my-lib my-lib%00 ./my-lib MY-LIB my-lib%20"
        shown += " %ef%bc%8fmy-lib my%252dlib"
        sent = "my-lib my-lib/ my-lib/v2 my-lib/v1/x my-lib/%2e%2e%2fv1"
        asked = [("GET", f"/product/fetch{each}") for each in ("", "/", "//")]
        asked += [("GET", f"/product/fetch/{each}") for each in shown.split()]
        asked += [("GET", f"/product/download/{each}") for each in sent.split()]
        asked += [("DELETE", f"/product/delete/{each}") for each in ("", "my-lib/v1/x")]
        for method, path in asked:
            for who in (adm, usr):
                assert_refused(who.call(method, path), 404)
        assert usr.versions() == ["v1"]


class TestDeleteVersion:
    @pytest.mark.backend
    def test_it_takes_the_flag_or_an_admin(self, adm, usr, usr2, zadm, my_lib):
        """Check 36."""
        path = "/product/delete/my-lib/v1.0.0"
        usr.put(my_lib, "v1.0.0")
        usr.grant(my_lib, usr2, "maintainer", "upload", "download")
        # Whether there is such a version is nothing to one who may not delete any.
        for version in ("v1.0.0", "v2"):
            usr2.refused(403, "DELETE", f"/product/delete/my-lib/{version}")
        zadm.refused(404, "DELETE", path)
        usr.grant(my_lib, usr2, "delete")
        assert usr2.delete(path).body == b""
        usr.refused(404, "GET", "/product/download/my-lib/v1.0.0")
        for who in (usr2, adm):
            who.refused(404, "DELETE", path)
        assert kept(usr) == set()
        assert usr.versions() == []

    @pytest.mark.backend
    def test_its_identifier_may_be_used_again(self, usr, my_lib):
        """Check 37."""
        for content in (b"first", b"second"):
            usr.put(my_lib, "v1.0.0", content)
            assert usr.fetched(my_lib, "v1.0.0") == content
            usr.delete("/product/delete/my-lib/v1.0.0")
        assert kept(usr) == set()

    @pytest.mark.backend
    def test_bytes_stay_as_long_as_another_version_has_them(self, usr, my_lib):
        usr.create("other")
        for product, version in ((my_lib, "1"), (my_lib, "2"), ("other", "1")):
            usr.put(product, version, b"same")
        usr.delete("/product/delete/my-lib/1")
        usr.delete("/product/delete/other")
        assert kept(usr) == {sha256(b"same")}
        assert usr.fetched(my_lib, "2") == b"same"
        usr.delete("/product/delete/my-lib/2")
        assert kept(usr) == set()


class TestWithdraw:
    PATH = "/product/modify/deleteVersion"

    @pytest.mark.parametrize("flag", ["maintainer", "delete"])
    def test_it_takes_either_flag(self, usr, usr2, my_lib, flag):
        """Check 38."""
        usr.put(my_lib, "v1")
        body = {"product": my_lib, "version": "v1"}
        usr.grant(my_lib, usr2, "upload", "download")
        usr2.refused(403, "DELETE", self.PATH, body)
        usr.grant(my_lib, usr2, flag)
        answer = usr2.send_json("DELETE", self.PATH, body, 200).json
        assert answer == {**body, "deleted": True}
        usr2.refused(404, "DELETE", self.PATH, body)
        assert kept(usr) == set()

    def test_what_cannot_be_meant_is_400_and_what_is_not_there_404(
        self, adm, usr, usr2, zadm, my_lib
    ):
        """Check 38."""
        usr.put(my_lib, "v1")
        halves = [{}, {"product": my_lib}, {"version": "v1"}, [], my_lib]
        pairs = [(my_lib, 1), (my_lib, ""), (my_lib, "/"), ("../x", "v1"), (None, None)]
        for body in [*halves, *({"product": one, "version": other} for one, other in pairs)]:
            usr.refused(400, "DELETE", self.PATH, body)
        usr2.refused(403, "DELETE", self.PATH, {"product": my_lib, "version": "v2"})
        for who, product in ((usr, my_lib), (adm, "none"), (usr, "none"), (zadm, my_lib)):
            who.refused(404, "DELETE", self.PATH, {"product": product, "version": "v2"})
        assert usr.versions() == ["v1"]

    def test_the_query_counts_where_there_is_no_body(self, usr, my_lib):
        """Check 38."""
        usr.put(my_lib, "v1")
        query = f"{self.PATH}?product=my-lib&version=v1"
        assert_refused(usr.call("DELETE", query, b"{}"), 400)
        assert usr.delete(query, 200).json["deleted"] is True
        for bad in ("", "?product=my-lib", "?product=my-lib&version=%ff", "?version=v1&product="):
            assert_refused(usr.call("DELETE", f"{self.PATH}{bad}"), 400)


class TestDelete:
    PATH = "/product/delete/my-lib"

    @pytest.mark.backend
    def test_it_takes_a_maintainer_and_leaves_nothing(self, adm, usr, usr2, my_lib):
        """Check 40."""
        for version in ("v1", "v2"):
            usr.put(my_lib, version, version.encode())
        usr.grant(my_lib, usr2, "delete", "upload", "download")
        usr2.refused(403, "DELETE", self.PATH)
        usr.grant(my_lib, usr2, "maintainer")
        assert usr2.delete(self.PATH).body == b""
        for who in (usr, usr2, adm):
            who.refused(404, "GET", "/product/fetch/my-lib")
            assert who.accessible() == []
        assert kept(usr) == set()
        assert usr2.create(my_lib)["versions"] == {}
        assert list(usr2.product()["tokens"]) == [usr2.digest]

    def test_an_admin_may_and_a_stranger_does_not_even_see_it(self, adm, usr, zadm, my_lib):
        """Check 41."""
        usr.put(my_lib, "v1")
        unknown = zadm.delete("/product/delete/never-was", 404)
        assert same_answer(zadm.delete(self.PATH, 404)) == same_answer(unknown)
        assert usr.versions() == ["v1"]
        adm.delete(self.PATH)
        adm.refused(404, "DELETE", self.PATH)


@pytest.fixture(scope="module")
def anybody(hub):
    return with_my_lib(hub)


@given(name=st.text(max_size=6) | st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z"))
def test_a_name_can_be_created_if_and_only_if_it_can_be_asked_for(anybody, name):
    """Check 16."""
    good = name != "my-lib" and name[:1].isascii() and name[:1].isalnum()
    good = good and all(each.isascii() and (each.isalnum() or each in "._-") for each in name)
    status = 201 if good else 409 if name == "my-lib" else 400
    anybody.send_json("PUT", "/product/create", {"name": name}, status)
    if good:
        assert anybody.product(name)["name"] == name
        anybody.delete(f"/product/delete/{name}")
