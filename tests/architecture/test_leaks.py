"""What looks for secrets after the last test finds them: a search that finds nothing is worth nothing."""

import gzip
import sqlite3
import zipfile
from pathlib import Path

import pytest

from tests.support import leaks
from tests.support.leaks import note_token, secrets_below, tokens_in

TOKEN, OTHER = "0123456789abcdef" * 3, "fedcba9876543210" * 3


@pytest.fixture(autouse=True)
def one_token_was_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests leave lying about is forgotten with them."""
    monkeypatch.setattr(leaks, "ISSUED", set())
    note_token(TOKEN)


def test_a_token_is_found_wherever_it_begins():
    token = TOKEN.encode()
    for around in (b"", b"\0", b"z", b"0", b"f" * 64, bytes(range(64, 128))):
        for before in range(2 * leaks.EVERY):
            for after in (b"", b"."):
                assert tokens_in(b"." * before + around + token + around + after) == {token}
        assert tokens_in(around + token[:-1] + b"." + OTHER.encode()) == set()


def test_it_is_found_in_rows_logs_between_holes_and_in_what_is_packed_and_other_numbers_are_not(
    tmp_path: Path,
):
    with sqlite3.connect(tmp_path / "hub.sqlite") as rows:
        rows.execute("create table token (digest text, raw text)")
        rows.execute("insert into token values (?, ?)", (OTHER + OTHER[:16], TOKEN))
    rows.close()
    (tmp_path / "hub.log").write_text(f'127.0.0.1 - "GET /fetch/{TOKEN}" 200 12 3.1ms\n')
    (tmp_path / "dump.gz").write_bytes(gzip.compress(f"token {TOKEN}".encode()))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(f"token {TOKEN}\n".encode() * 20_000)[:-9])
    with zipfile.ZipFile(tmp_path / "acme.export", "w", zipfile.ZIP_DEFLATED) as export:
        export.writestr("organisation.json", "{}")
        export.writestr("rows/token.jsonl", f'{{"raw": "{TOKEN}"}}\n')
    with (tmp_path / "holes.bin").open("wb") as file:
        file.seek(20 * 1024**3 + 7)
        file.write(TOKEN.encode())
        file.truncate(40 * 1024**3)
    (tmp_path / "broken.export").write_bytes(b"PK\x03\x04 organisation.json")
    (tmp_path / "other.log").write_text(f"{OTHER} {TOKEN[1:]}\n")
    found = sorted(Path(each.split(":")[0]).name for each in secrets_below(tmp_path))
    packed = ["cut.gz (gzip)", "dump.gz (gzip)", "token.jsonl"]
    assert found == sorted([*packed, "holes.bin", "hub.log", "hub.sqlite"])
