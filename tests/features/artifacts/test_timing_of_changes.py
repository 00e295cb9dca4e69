"""What happens between the moment that a request is judged and the one when it acts."""

import threading

import pytest
from sqlalchemy import delete

from hubrepo.features.artifacts.models import Token
from hubrepo.features.artifacts.services import hold_caller
from hubrepo.kernel.blobs import BlobReader
from hubrepo.kernel.blobs.stores import BlobMissing


def test_nobody_waits_to_write_while_an_upload_is_read(acme, monkeypatch):
    usr = acme.token()
    usr.create("my-lib")
    stores, database = acme.hub.registry.stores, acme.hub.registry.database
    real, written = type(stores.main).stage, []

    def stage(store):
        writer = threading.Thread(target=write)
        writer.start()
        writer.join(3)
        return real(store)

    def write():
        with database.write() as db:
            db.execute(delete(Token).where(Token.id == -1))
        written.append(True)

    monkeypatch.setattr(type(stores.main), "stage", stage)
    usr.put("my-lib", "v1")
    assert written == [True]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/register", {"admin": True}),
        ("PUT", "/product/create", {"name": "other"}),
        ("DELETE", "/product/delete/my-lib", None),
        ("DELETE", "/product/modify/deleteVersion", {"product": "my-lib", "version": "v1"}),
    ],
)
def test_who_is_pruned_while_waiting_does_nothing_more(acme, monkeypatch, method, path, body):
    adm, other = acme.token(admin=True), acme.token(admin=True)
    adm.create("my-lib")
    adm.put("my-lib", "v1")

    def pruned_first(db, token_id):
        db.execute(delete(Token).where(Token.id == token_id))
        hold_caller(db, token_id)

    with monkeypatch.context() as patch:
        for module in ("resources", "services"):
            patch.setattr(f"hubrepo.features.artifacts.{module}.hold_caller", pruned_first)
        # The grant of who created it would keep the row.
        answer = other.send_json(method, path, body or {}, 401)
    assert answer.json == {"error": "the API token is not valid"}
    assert set(adm.get("/product/fetch/my-lib").json["versions"]) == {"v1"}
    assert adm.get("/product/access").json == ["my-lib"]


def test_a_download_goes_on_to_no_other_product_of_that_name(acme, monkeypatch):
    usr, other = acme.token(), acme.token()
    usr.create("my-lib")
    usr.put("my-lib", "v1", b"mine")
    real = BlobReader.open

    def replaced_first(reader, *where):
        monkeypatch.setattr(BlobReader, "open", real)
        usr.delete("/product/delete/my-lib")
        other.create("my-lib")
        other.put("my-lib", "v1", b"another's")
        raise BlobMissing

    monkeypatch.setattr(BlobReader, "open", replaced_first)
    assert usr.get("/product/download/my-lib/v1", 404).json["error"]
    assert usr.get("/product/download/my-lib/v1", 403).json["error"]


def test_a_version_that_was_uploaded_anew_meanwhile_is_what_comes_down(acme, monkeypatch):
    usr = acme.token()
    usr.create("my-lib")
    usr.put("my-lib", "v1", b"first")
    real = BlobReader.open

    def replaced_first(reader, *where):
        monkeypatch.setattr(BlobReader, "open", real)
        usr.delete("/product/delete/my-lib/v1")
        usr.put("my-lib", "v1", b"second")
        raise BlobMissing

    monkeypatch.setattr(BlobReader, "open", replaced_first)
    assert usr.fetched("my-lib", "v1") == b"second"


def test_no_cache_between_keeps_what_is_private(acme):
    usr = acme.token()
    usr.create("my-lib")
    for path, status, said in (
        ("/product/access", 200, "private, no-cache"),
        ("/product/fetch/my-lib", 200, "private, no-cache"),
        ("/api/product/fetch/none", 404, "private, no-cache"),
        (f"/fetch/{usr.key}", 200, "no-store"),
        ("/prune/x", 405, "no-store"),
    ):
        assert usr.get(path, status).headers["Cache-Control"] == said
