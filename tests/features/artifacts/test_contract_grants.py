"""What a token may do with a product: section 5, checks 20 to 24 and 39."""

import itertools

import pytest

from hubrepo.features.artifacts.permissions import FLAGS
from tests.support.artifacts import assert_refused
from tests.support.contract import same_answer

ADD = "/product/modify/addToken"
REMOVE = "/product/modify/deleteToken"
UNKNOWN = "0" * 48


def wish(token, **flags):
    return {"product": "my-lib", "token": token, "permissions": flags}


class TestAdd:
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
        assert [flag for flag, on in usr.product()["tokens"][usr2.digest].items() if on] == [
            "upload"
        ]
        answer = usr.grant(my_lib, usr2)
        assert set(answer["permissions"].values()) == {False}
        usr2.product()
        usr2.refused(403, "GET", "/product/download/my-lib/v1")

    @pytest.mark.parametrize(
        "value",
        [
            *({}, [], "x", {"product": "my-lib"}, {"product": "my-lib", "token": "x"}),
            *({"token": "x", "permissions": {}}, {"product": "my-lib", "permissions": {}}),
            *({**wish("x"), "permissions": each} for each in (None, [], "download", 1, True)),
            *(wish("x", download=each) for each in ("true", 1, 0, None, [])),
            *(wish("x", **{each: True}) for each in ("Download", "read", "", "downloads")),
            *(wish("x", nonsense=False), wish(5), wish(None), wish(["x"])),
            *({**wish("x"), "product": each} for each in ("../x", "", 1, None)),
        ],
    )
    @pytest.mark.usefixtures("my_lib")
    def test_what_cannot_be_meant_is_400(self, adm, usr, usr2, value):
        """Check 22: before it is looked at who asks for it, and about what."""
        for who in (usr, usr2, adm):
            who.refused(400, "PUT", ADD, value)
        assert list(usr.product()["tokens"]) == [usr.digest]

    @pytest.mark.parametrize("body", [b"", b"{bad", b"\xff", b'{"product": "my-lib"', b"null"])
    @pytest.mark.usefixtures("my_lib")
    def test_what_is_no_json_is_400(self, usr, body):
        """Check 22."""
        assert_refused(usr.call("PUT", ADD, body), 400)

    @pytest.mark.usefixtures("my_lib")
    def test_a_misspelt_flag_is_named_and_a_long_one_cut(self, usr, usr2):
        usr.refused(400, "PUT", ADD, wish(usr2.key, donwload=True), "donwload")
        long = usr.refused(400, "PUT", ADD, wish(usr2.key, **{"x" * 50_000: True}))
        assert len(long.body) < 1_000

    def test_who_is_no_maintainer_may_not(self, usr, usr2, my_lib):
        """Check 23."""
        usr2.refused(403, "PUT", ADD, wish(usr2.key, download=True))
        usr.grant(my_lib, usr2, "download", "upload", "delete")
        # Neither himself nor one who is not there: that would tell him who is.
        for token in (usr2.key, UNKNOWN):
            usr2.refused(403, "PUT", ADD, wish(token, maintainer=True))

    def test_a_maintainer_may_and_so_can_get_the_rest(self, adm, usr, usr2, my_lib):
        usr.grant(my_lib, usr2, "maintainer")
        usr2.grant(my_lib, usr2, *FLAGS)
        adm.grant(my_lib, usr, "download")
        usr.refused(403, "PUT", ADD, wish(usr.key, maintainer=True))

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


class TestActions:
    @pytest.mark.parametrize(
        ("action", "wrong", "right"),
        [
            ("addToken", "DELETE", "PUT"),
            ("deleteToken", "PUT", "DELETE"),
            ("deleteVersion", "PUT", "DELETE"),
            ("addToken", "POST", "PUT"),
            ("deleteToken", "GET", "DELETE"),
        ],
    )
    def test_each_has_one_method(self, adm, usr, action, wrong, right):
        """Check 24."""
        for who in (adm, usr):
            response = who.refused(405, wrong, f"/product/modify/{action}", wish("x"))
            assert response.headers["Allow"].split(", ") == sorted([right, "OPTIONS"])

    @pytest.mark.parametrize(
        "action", ["nonsense", "addtoken", "AddToken", "add%54oken%20", "..a", "x" * 500, "%C3%BC"]
    )
    @pytest.mark.parametrize("method", ["PUT", "DELETE"])
    def test_an_unknown_one_is_400(self, usr, action, method):
        """Check 24."""
        usr.refused(400, method, f"/product/modify/{action}", wish("x"))
        usr.refused(400, method, f"/product/modify/{action}")


class TestRemove:
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

    def test_who_is_no_maintainer_may_not(self, usr, usr2, my_lib):
        """Check 39."""
        usr2.refused(403, "DELETE", REMOVE, {"product": my_lib, "token": usr.key})
        usr.grant(my_lib, usr2, "download", "upload", "delete")
        for token in (usr.key, usr2.key, UNKNOWN):
            usr2.refused(403, "DELETE", REMOVE, {"product": my_lib, "token": token})

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

    @pytest.mark.parametrize(
        "value", [{}, [], {"product": "my-lib"}, {"token": "x"}, {"product": "my-lib", "token": 5}]
    )
    @pytest.mark.usefixtures("my_lib")
    def test_what_cannot_be_meant_is_400(self, usr, value):
        usr.refused(400, "DELETE", REMOVE, value)

    def test_the_last_maintainer_may_go_and_an_admin_repairs_it(self, adm, usr, my_lib):
        usr.send_json("DELETE", REMOVE, {"product": my_lib, "token": usr.key}, 204)
        usr.refused(403, "GET", "/product/fetch/my-lib")
        assert adm.product()["tokens"] == {}
        adm.grant(my_lib, usr, "maintainer")
        usr.grant(my_lib, usr, *FLAGS)


@pytest.mark.parametrize(
    "flags", [each for n in range(5) for each in itertools.combinations(FLAGS, n)], ids="+".join
)
def test_each_flag_allows_what_the_contract_says_and_no_other_does(usr, usr2, my_lib, flags):
    """Section 1.4, row by row."""
    for version in ("v1", "v2"):
        usr.put(my_lib, version)
    usr.grant(my_lib, usr2, *flags)
    has = set(flags)

    def judged(needs: set[str], fine: int) -> int:
        return fine if needs & has else 403

    usr2.get("/product/fetch/my-lib")
    usr2.get("/product/download/my-lib/v1", judged({"download"}, 200))
    usr2.put(my_lib, "v3", status=judged({"upload"}, 201))
    usr2.delete("/product/delete/my-lib/v1", judged({"delete"}, 204))
    either = judged({"delete", "maintainer"}, 200)
    usr2.send_json(
        "DELETE", "/product/modify/deleteVersion", {"product": my_lib, "version": "v2"}, either
    )
    maintains = {"maintainer"}
    usr2.send_json("DELETE", REMOVE, {"product": my_lib, "token": usr.key}, judged(maintains, 204))
    usr2.send_json("PUT", ADD, wish(usr.key, upload=True), judged(maintains, 201))
    usr2.delete("/product/delete/my-lib", judged(maintains, 204))


def test_an_admin_needs_no_grant(adm, usr, my_lib):
    """Section 1.4: admins bypass every check of a product in their organisation."""
    adm.put(my_lib, "v1")
    adm.product()
    assert adm.fetched(my_lib, "v1") == b"content"
    adm.delete("/product/delete/my-lib/v1")
    adm.grant(my_lib, adm)
    adm.send_json("DELETE", REMOVE, {"product": my_lib, "token": adm.key}, 204)
    adm.delete("/product/delete/my-lib")
