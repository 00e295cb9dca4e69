"""What happens between the moment that a request is judged and the one when it has acted."""

import threading

import pytest
from sqlalchemy import delete
from transaction.interfaces import TransientError

from hubrepo.features.artifacts.catalogue import Catalogue
from hubrepo.features.artifacts.models import Token
from hubrepo.features.artifacts.services import ProductService, hold_caller
from hubrepo.kernel.blobs import BlobReader
from hubrepo.kernel.blobs.stores import BlobMissing
from tests.support.artifacts import assert_refused, kept

pytestmark = pytest.mark.backend


def test_nobody_waits_to_write_while_an_upload_is_read(usr, my_lib, monkeypatch):
    stores, database = usr.hub.registry.stores, usr.hub.registry.database
    real, written = type(stores.main).stage, []

    def stage(store):
        writer = threading.Thread(target=write)
        writer.start()
        writer.join(60)
        return real(store)

    def write():
        with database.write() as db:
            db.execute(delete(Token).where(Token.id == -1))
        written.append(True)

    monkeypatch.setattr(type(stores.main), "stage", stage)
    usr.put(my_lib, "v1")
    assert written == [True]


def test_who_is_pruned_while_waiting_does_nothing_more(acme, adm, monkeypatch):
    adm.create("my-lib")
    adm.put("my-lib", "v1")

    def pruned_first(db, token_id):
        db.execute(delete(Token).where(Token.id == token_id))
        hold_caller(db, token_id)

    with monkeypatch.context() as patch:
        for module in ("resources", "services"):
            patch.setattr(f"hubrepo.features.artifacts.{module}.hold_caller", pruned_first)
        for method, path, body in (
            ("PUT", "/register", {"admin": True}),
            ("PUT", "/product/create", {"name": "other"}),
            ("DELETE", "/product/delete/my-lib", {}),
            ("DELETE", "/product/modify/deleteVersion", {"product": "my-lib", "version": "v1"}),
        ):
            # The grant of who created it would keep the row.
            answer = acme.token(admin=True).send_json(method, path, body, 401)
            assert answer.json == {"error": "the API token is not valid"}
    assert (adm.versions(), adm.accessible()) == (["v1"], ["my-lib"])


def test_who_was_judged_for_a_product_changes_no_other_of_its_name(adm, monkeypatch):
    real, judged = Catalogue.product, []
    monkeypatch.setattr(
        Catalogue, "product", lambda *asked: judged.append(real(*asked)) or judged[0]
    )
    adm.create("my-lib")
    adm.delete("/product/delete/my-lib")
    monkeypatch.setattr(Catalogue, "product", real)
    adm.create("my-lib")
    adm.put("my-lib", "v1")
    with monkeypatch.context() as patch:
        patch.setattr(Catalogue, "product", lambda *_: judged[0])
        wish = {"product": "my-lib", "token": adm.digest, "version": "v1", "permissions": {}}
        for method, path in (
            ("DELETE", "/product/delete/my-lib"),
            ("PUT", "/product/modify/addToken"),
            ("DELETE", "/product/modify/deleteToken"),
            ("DELETE", "/product/modify/deleteVersion"),
        ):
            adm.refused(404, method, path, wish, "product")
        assert_refused(adm.form({"product": "my-lib", "version": "v2"}), 404, "product")
    assert adm.versions() == ["v1"]
    assert list(adm.product()["tokens"]) == [adm.digest]


def before_opening(monkeypatch, act):
    """Let this be done when a download is to open its bytes, which are gone then."""
    real = BlobReader.open

    def replaced_first(*_):
        monkeypatch.setattr(BlobReader, "open", real)
        act()
        raise BlobMissing

    monkeypatch.setattr(BlobReader, "open", replaced_first)


def test_a_download_goes_on_to_no_other_product_of_that_name(usr, usr2, my_lib, monkeypatch):
    usr.put(my_lib, "v1", b"mine")

    def replace():
        usr.delete("/product/delete/my-lib")
        usr2.create("my-lib")
        usr2.put("my-lib", "v1", b"another's")

    before_opening(monkeypatch, replace)
    assert usr.get("/product/download/my-lib/v1", 404).json["error"]
    assert usr.get("/product/download/my-lib/v1", 403).json["error"]


def test_a_version_that_was_uploaded_anew_meanwhile_is_what_comes_down(usr, my_lib, monkeypatch):
    usr.put(my_lib, "v1", b"first")

    def replace():
        usr.delete("/product/delete/my-lib/v1")
        usr.put(my_lib, "v1", b"second")

    before_opening(monkeypatch, replace)
    assert usr.fetched(my_lib, "v1") == b"second"


def again(monkeypatch, method):
    """Let the first try of a change lose a race once all is done."""
    real, tries = getattr(ProductService, method), []

    def lose_once(*values):
        made = real(*values)
        tries.append(1)
        if len(tries) == 1:
            raise TransientError
        return made

    monkeypatch.setattr(ProductService, method, lose_once)
    return tries


def test_a_change_that_is_tried_again_is_made_once_and_whole(usr, usr2, my_lib, monkeypatch):
    content = bytes(range(256)) * 100
    tries = again(monkeypatch, "upload"), again(monkeypatch, "set_grant")
    told = usr.put(my_lib, "v1", content)
    usr.grant(my_lib, usr2, "download")
    assert [len(each) for each in tries] == [2, 2]
    assert usr2.fetched(my_lib, "v1") == content
    assert kept(usr) == {told["checksum"].removeprefix("sha256:")}
    actions = [each.action for each in usr.events()]
    assert [actions.count(f"artifacts:{each}") for each in ("upload", "grant")] == [1, 1]
