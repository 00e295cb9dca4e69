"""What a token may do with a product: section 5, checks 20 to 24 and 39.

What each single flag allows, section 1.4 row by row, is in `permission_matrix.txt`.
"""

import pytest

from hubrepo.features.artifacts.permissions import FLAGS
from tests.support.artifacts import UNKNOWN, assert_refused
from tests.support.contract import same_answer

ADD = "/product/modify/addToken"
REMOVE = "/product/modify/deleteToken"


def wish(token, **flags):
    return {"product": "my-lib", "token": token, "permissions": flags}


class TestAdd:
    @pytest.mark.backend
    @pytest.mark.parametrize("named", ["key", "digest"])
    def test_a_token_gets_what_is_said_and_nothing_else(self, usr, usr2, my_lib, named):
        """Check 20."""
        answer = usr.send_json("PUT", ADD, wish(getattr(usr2, named), download=True), 201).json
        only = {"maintainer": False, "download": True, "upload": False, "delete": False}
        assert answer == {"product": my_lib, "token": usr2.digest, "permissions": only}
        assert usr2.product()["tokens"][usr2.digest] == only
        assert usr2.accessible() == [my_lib]

    def test_a_second_time_replaces_the_first(self, usr, usr2, my_lib):
        """Check 21."""
        usr.put(my_lib, "v1")
        usr.grant(my_lib, usr2, "download", "delete")
        usr.grant(my_lib, usr2, "upload")
        granted = usr.product()["tokens"][usr2.digest]
        assert [flag for flag, on in granted.items() if on] == ["upload"]
        answer = usr.grant(my_lib, usr2)
        assert set(answer["permissions"].values()) == {False}
        usr2.product()
        usr2.refused(403, "GET", "/product/download/my-lib/v1")

    @pytest.mark.usefixtures("my_lib")
    def test_what_cannot_be_meant_is_400(self, adm, usr, usr2):
        """Check 22: before it is looked at who asks for it, and about what."""
        values = [
            *({}, [], "x", {"product": "my-lib"}, {"product": "my-lib", "token": "x"}),
            *({"token": "x", "permissions": {}}, {"product": "my-lib", "permissions": {}}),
            *({**wish("x"), "permissions": each} for each in (None, [], "download", 1, True)),
            *(wish("x", download=each) for each in ("true", 1, 0, None, [])),
            *(wish("x", **{each: True}) for each in ("Download", "read", "", "downloads")),
            *(wish("x", nonsense=False), wish(5), wish(None), wish(["x"])),
            *({**wish("x"), "product": each} for each in ("../x", "", 1, None)),
        ]
        for value in values:
            for who in (usr, usr2, adm):
                who.refused(400, "PUT", ADD, value)
        for body in (b"", b"{bad", b"\xff", b'{"product": "my-lib"', b"null"):
            assert_refused(usr.call("PUT", ADD, body), 400)
        usr.refused(400, "PUT", ADD, wish("x", donwload=True), "donwload")
        assert len(usr.refused(400, "PUT", ADD, wish("x", **{"x" * 50_000: True})).body) < 1_000
        halves = [{}, [], {"product": "my-lib"}, {"token": "x"}, {"product": "my-lib", "token": 5}]
        for value in halves:
            usr.refused(400, "DELETE", REMOVE, value)
        assert list(usr.product()["tokens"]) == [usr.digest]

    def test_who_is_no_maintainer_may_not_grant_and_not_take_back(self, usr, usr2, my_lib):
        """Checks 23 and 39."""
        usr2.refused(403, "PUT", ADD, wish(usr2.key, download=True))
        usr2.refused(403, "DELETE", REMOVE, {"product": my_lib, "token": usr.key})
        usr.grant(my_lib, usr2, "download", "upload", "delete")
        # Neither himself nor one who is not there: that would tell him who is.
        for token in (usr.key, usr2.key, UNKNOWN):
            usr2.refused(403, "PUT", ADD, wish(token, maintainer=True))
            usr2.refused(403, "DELETE", REMOVE, {"product": my_lib, "token": token})
        # A maintainer may, and so can get the rest.
        usr.grant(my_lib, usr2, "maintainer")
        usr2.grant(my_lib, usr2, *FLAGS)

    @pytest.mark.usefixtures("my_lib")
    def test_what_is_not_there_is_404_and_so_is_what_is_another_organisation_s(
        self, adm, usr, zusr, zadm
    ):
        """Check 23."""
        for who in (usr, adm):
            unknown = same_answer(who.refused(404, "PUT", ADD, wish(UNKNOWN)))
            for token in ("", "nonsense", "0" * 64, zusr.key, zusr.digest, zadm.key):
                assert same_answer(who.refused(404, "PUT", ADD, wish(token))) == unknown
        zusr.create("theirs")
        nowhere = same_answer(usr.refused(404, "PUT", ADD, {**wish(usr.key), "product": "none"}))
        theirs = same_answer(usr.refused(404, "PUT", ADD, {**wish(usr.key), "product": "theirs"}))
        assert theirs == nowhere
        assert same_answer(zadm.refused(404, "PUT", ADD, wish(zusr.key))) == nowhere


def test_each_action_has_one_method_and_an_unknown_one_is_400(adm, usr):
    """Check 24."""
    for action, wrong, right in (
        ("addToken", "DELETE", "PUT"),
        ("deleteToken", "PUT", "DELETE"),
        ("deleteVersion", "PUT", "DELETE"),
        ("addToken", "POST", "PUT"),
        ("deleteToken", "GET", "DELETE"),
    ):
        for who in (adm, usr):
            response = who.refused(405, wrong, f"/product/modify/{action}", wish("x"))
            assert response.headers["Allow"].split(", ") == sorted([right, "OPTIONS"])
    for action in ("nonsense", "addtoken", "AddToken", "add%54oken%20", "..a", "x" * 500, "%C3%BC"):
        for method in ("PUT", "DELETE"):
            usr.refused(400, method, f"/product/modify/{action}", wish("x"))
            usr.refused(400, method, f"/product/modify/{action}")


class TestRemove:
    @pytest.mark.backend
    def test_a_maintainer_takes_it_all_back(self, usr, usr2, my_lib):
        """Check 39."""
        for named in ("key", "digest"):
            usr.grant(my_lib, usr2, "download")
            usr2.product()
            token = getattr(usr2, named)
            response = usr.send_json("DELETE", REMOVE, {"product": my_lib, "token": token}, 204)
            assert response.body == b""
            usr2.refused(403, "GET", "/product/fetch/my-lib")
            assert usr2.accessible() == []
            usr.refused(404, "DELETE", REMOVE, {"product": my_lib, "token": token})

    def test_what_is_not_there_is_404(self, adm, usr, zusr, my_lib):
        """Check 39."""
        zusr.create("theirs")
        zusr.create(my_lib)
        unknown = usr.refused(404, "DELETE", REMOVE, {"product": my_lib, "token": UNKNOWN})
        for token in (zusr.key, zusr.digest, adm.key, "nonsense"):
            found = usr.refused(404, "DELETE", REMOVE, {"product": my_lib, "token": token})
            assert same_answer(found) == same_answer(unknown)
        adm.refused(404, "DELETE", REMOVE, {"product": "theirs", "token": zusr.key})
        zusr.product("theirs")

    def test_the_query_counts_where_there_is_no_body_and_has_digests_alone(self, usr, usr2, my_lib):
        usr.grant(my_lib, usr2, "download")
        query = f"{REMOVE}?product=my-lib&token="
        assert_refused(usr.call("DELETE", f"{query}{usr2.key}"), 400, "digest")
        usr2.product()
        usr.delete(f"{query}{usr2.digest}")
        usr2.refused(403, "GET", "/product/fetch/my-lib")

    def test_the_last_maintainer_may_go_and_an_admin_repairs_it(self, adm, usr, my_lib):
        usr.send_json("DELETE", REMOVE, {"product": my_lib, "token": usr.key}, 204)
        usr.refused(403, "GET", "/product/fetch/my-lib")
        assert adm.product()["tokens"] == {}
        adm.grant(my_lib, usr, "maintainer")
        usr.grant(my_lib, usr, *FLAGS)
