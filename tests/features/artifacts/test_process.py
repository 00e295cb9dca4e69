"""What only a process shows: what was sent over a socket, and the log that it writes."""

import pytest

from tests.support.contract import file_part, multipart, text_part
from tests.support.process import HubProcess
from tests.support.uploads import TokenWire, first_admin

pytestmark = pytest.mark.long


def test_an_encoded_slash_deletes_nothing_and_the_log_shows_no_token(tmp_path):
    """Section 1.1, and check 45."""
    with HubProcess(tmp_path) as hub:
        admin = first_admin(hub)
        with TokenWire(hub.port, admin) as client:
            plain = client.register()
            client.create("my-lib")
            assert client.upload("my-lib", "v1", b"x").status == 201
            for method, path, status in (
                ("DELETE", "/product/delete/my-lib%2Fv1", 404),
                ("DELETE", "/product/delete/my-lib%2fv1/", 404),
                ("DELETE", "/product/delete/my-lib/v1", 204),
                ("GET", f"/fetch/{plain}", 200),
                ("GET", f"/api/fetch/{plain}/", 200),
                ("DELETE", f"/prune/{plain}", 204),
                ("DELETE", f"/prune/{plain}?token={plain}", 404),
                ("GET", f"/product/fetch/{plain}", 404),
            ):
                assert client.ask(method, path).status == status
        hub.stop()
        log = hub.log.read_text()
    assert (log.count("fetch/…"), log.count("prune/…")) == (3, 2)
    assert [each for each in (admin, plain) if each in log] == []


def test_nor_below_a_prefix(tmp_path):
    with HubProcess(tmp_path, server={"url_prefix": "/hub"}) as hub, hub.wire() as client:
        sent = {"X-Api-Token": first_admin(hub)}
        client.ask("PUT", "/hub/product/create", b'{"name": "my-lib"}', sent)
        parts = [text_part("product", "my-lib"), text_part("version", "v1"), file_part(b"x")]
        form = {**sent, "Content-Type": "multipart/form-data; boundary=frontier"}
        assert client.ask("POST", "/hub/product/upload", multipart(parts), form).status == 201
        for path, status in (("my-lib%2Fv1", 404), ("my-lib%2fv1/", 404), ("my-lib/v1", 204)):
            answer = client.ask("DELETE", f"/hub/product/delete/{path}", headers=sent)
            assert answer.status == status
