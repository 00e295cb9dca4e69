"""No answer, log, audit or error shows a raw token, but the answer that gives it out."""

import itertools
import json

import pytest

from hubrepo.kernel.base import redact
from tests.support import leaks
from tests.support.hub import Client, Hub

RAW = "0123456789abcdef" * 3
TOKENS = [RAW, f"{RAW[:-1]}G", RAW.upper(), f"a {RAW[:-2]}", f'"{RAW}']
URLS = [
    *("/fetch/{}", "/api/prune/{}/", "/hub/fetch/{}", "/hub/api/fetch/{}", "//fetch/{}"),
    *("/api//fetch//{}", "http://127.0.0.1:6543/prune/{}", "/fetch%2F{}", "/fetch%2f{}"),
]
LINES = ['127.0.0.1 - "GET {}" 404 38 1.2ms', '127.0.0.1 - \\"GET {}\\" 404 38', "GET {} failed"]


def test_no_answer_may_show_one_but_that_to_who_registers_it(
    acme: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(leaks, "ISSUED", set())  # what is left lying about here is forgotten
    admin = acme.token(admin=True)
    given = admin.send_json("PUT", "/api/register/", {}, 201).text
    assert {given, admin.key} <= {each.decode() for each in leaks.ISSUED}
    shown = admin.send_json("PUT", "/register", {"label": "ci"}, 201).text
    acme.publish("widget", summary="nothing")
    with pytest.raises(AssertionError):
        acme.publish("widget", summary=f"use {shown}")


# `hub`: the application has said what a token looks like.
def test_of_what_stands_for_a_token_in_a_url_nothing_is_shown(hub: Hub):
    for token, url, line in itertools.product(TOKENS, URLS, LINES):
        shown = redact(line.format(url.format(token)))
        assert not any(part in shown for part in (token[:20], token[-20:], RAW[:20])), shown
        assert "…" in shown
        assert shown[:3] == line[:3]


def test_a_token_is_known_wherever_it_begins(hub: Hub):
    for before in (" ", "/", "%20", "%2F", "=", '"', "x-", "\\n", "\\t", "\\x1b"):
        assert RAW not in redact(f"/product/x{before}{RAW} and more")
    for before in ("\n", "\r", "\t", "\b", "\x1b", "\u2028", "\U000e0001", "\ud800"):
        assert RAW not in redact(repr([before + RAW]))
        assert RAW not in redact(json.dumps({before + RAW: 1}))


def test_what_names_no_token_is_shown(hub: Hub):
    for text in (
        *("GET /product/fetch/my-lib", "GET /api/product/fetch/my-lib/", "a /fetch/b", "/fetch/"),
        *("/pages/acme/docs/fetch/index.html", "GET /pages/prune/x", "to fetch/prune is meant"),
        *(f"sha256:{RAW}{'0' * 16}", f"{RAW}0"),
        "leads to 'https://api.example.com/fetch/:splat', and more",
    ):
        assert redact(text) == text
