"""Hostile and odd archives, made by code, each with what becomes of it (see docs/archives.md)."""

from tests.support.hostile import bombs, members, names, structures
from tests.support.hostile.cases import GOOD, INDEX, MANIFEST, PAGES, PATH, TOO_LARGE, Case

SECTIONS = {
    "Names": names.cases,
    "Members": members.cases,
    "Structure": structures.cases,
    "Size": bombs.cases,
}
CORPUS = {name: tuple(cases()) for name, cases in SECTIONS.items()}
CASES = tuple(case for cases in CORPUS.values() for case in cases)

__all__ = ["CASES", "CORPUS", "GOOD", "INDEX", "MANIFEST", "PAGES", "PATH", "TOO_LARGE", "Case"]
