"""Agreement of everything that a hub shows of one package, which holds at every moment."""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.archives import read_zip
from tests.support.process import Wire

_ENTRY = re.compile(
    r"^### Version (?P<number>\d+)(?P<tombstoned> \(tombstoned\))?\n\n"
    r"- \*\*Author:\*\* .*\n- \*\*Date:\*\* .*(?:\n- \*\*Hash:\*\* (?P<hash>\S+))?",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Listed:
    """A version as the hub lists it."""

    number: int
    content_hash: str
    tombstoned: bool


def check_package(wire: Wire, name: str, newest: int | None = None) -> Mapping[int, Listed]:
    """Return the versions of a package that nobody changes now, by number, after checking them.

    Numbers have no gaps. Live versions download with their hash, and the history inside each lists
    every version up to it, with the hashes of the older ones; tombstoned versions are gone. Aliases
    point to live versions, `latest` to the newest. Of very many versions only the `newest` are downloaded.
    """
    detail = wire.ask("GET", f"/api/packages/{name}")
    assert detail.status == 200, detail
    versions = {
        each["version"]: Listed(each["version"], each["content_hash"], each["tombstoned"])
        for each in detail.json["versions"]
    }
    assert list(versions) == list(range(len(versions), 0, -1))
    for version in list(versions.values())[:newest]:
        _check_version(wire, name, version, versions)
    targets = {each["name"]: each["version"] for each in detail.json["aliases"]}
    live = [each.number for each in versions.values() if not each.tombstoned]
    assert set(targets.values()) <= set(live)
    assert targets.get("latest") == max(live, default=None)
    return versions


def _check_version(wire: Wire, name: str, version: Listed, all_: Mapping[int, Listed]) -> None:
    answer = wire.ask("GET", f"/api/packages/{name}/versions/{version.number}/download")
    assert answer.status == (410 if version.tombstoned else 200), answer
    if not version.tombstoned:
        assert f"sha256:{hashlib.sha256(answer.body).hexdigest()}" == version.content_hash
        members = read_zip(answer.body)
        manifest = tomllib.loads(members["package.toml"].decode())
        assert manifest["package"]["version"] == version.number
        _check_history(members["HISTORY.md"].decode(), version.number, all_)


def _check_history(history: str, number: int, versions: Mapping[int, Listed]) -> None:
    entries = list(_ENTRY.finditer(history))
    assert [int(each["number"]) for each in entries] == list(range(number, 0, -1))
    assert entries[0]["hash"] is None
    for entry in entries[1:]:
        older = versions[int(entry["number"])]
        assert older.tombstoned if entry["tombstoned"] else entry["hash"] == older.content_hash
