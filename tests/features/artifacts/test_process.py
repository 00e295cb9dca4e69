"""What only a process shows: what was sent over a socket, and the log that it writes."""

import pytest

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
