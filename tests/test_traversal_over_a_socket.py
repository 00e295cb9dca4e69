"""The target of a request reaches the tree as it was sent: the server bends no path into another.

`tests/architecture/test_traversal.py` tries hundreds of strings in process.
"""

import pytest

from tests.support.process import HubProcess

pytestmark = pytest.mark.long


def test_no_spelling_of_a_step_upwards_leads_anywhere(server: HubProcess) -> None:
    with server.wire() as wire:
        for string in (
            "../../../hub.ini",
            "%2e%2e/%2e%2e%2f%2e%2e/hub.ini",
            "..%5c..\\..%5Chub.ini",
        ):
            for before in ("/", "/api/packages/", "/pages/acme/docs/"):
                answer = wire.ask("GET", before + string)
                assert answer.status in {400, 404}
                assert answer.body.startswith((b'{"detail":', b"<!doctype html>"))
                assert b"[app:main]" not in answer.body
        assert wire.ask("GET", "/api/packages/../packages").status == 400
        assert wire.ask("GET", "/api//packages").status == 404
        assert wire.ask("GET", "/api/packages").status == 200
