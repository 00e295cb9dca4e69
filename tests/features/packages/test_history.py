import re
from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from hubrepo.features.packages import history
from hubrepo.features.packages.history import Chapter, Claim, Entry, render, render_entry


def read_claim(text):
    return history.read_claim(text.encode())


EXAMPLE = """\
# Package History: gadget

> Authoritative copy lives on the server. This file is a snapshot at publish time.

## Versions

### Version 2

- **Author:** cat
- **Date:** 2026-11-21T10:44:59Z
- **Hash:** sha256:ce8b85843d27a1172343a92f9bf245004d4714251de497e79ebe1d1124f1154a
- **Message:** Touch support

### Version 1

- **Author:** cat
- **Date:** 2026-11-21T10:44:58Z
- **Hash:** sha256:e2787fc48f429baf3c5a05f9e5a5150d04e59bd0798f990999dc5b228d39f98b
- **Message:** Forked for the kiosk
- **Forked from:** widget v3

---

## Forked from package: widget (Version 3)

### Version 3

- **Author:** ann
- **Date:** 2026-11-21T10:44:56Z
- **Hash:** sha256:938965c168271be0880c7c3677e9f8f2048ec3027709b9394ccbe0909c19ebc3

### Version 2 (tombstoned)

- **Author:** bob
- **Date:** 2026-11-21T10:44:54Z
- **Message:** Adds the grid
- **Tombstoned:** leaked a credential

What changed

- grid layout
- # not a heading any more

See the docs.

### Version 1

- **Author:** ann
- **Date:** 2026-11-21T10:44:53Z
- **Hash:** sha256:6357c17cf60fac29cba0ef84c6ce5d926005a1c7bad12fd1ca8c3288a80cf4c0
- **Message:** Initial release
"""

GADGET_2 = "sha256:ce8b85843d27a1172343a92f9bf245004d4714251de497e79ebe1d1124f1154a"
GADGET_1 = "sha256:e2787fc48f429baf3c5a05f9e5a5150d04e59bd0798f990999dc5b228d39f98b"
WIDGET_3 = "sha256:938965c168271be0880c7c3677e9f8f2048ec3027709b9394ccbe0909c19ebc3"
WIDGET_1 = "sha256:6357c17cf60fac29cba0ef84c6ce5d926005a1c7bad12fd1ca8c3288a80cf4c0"


def at(second):
    return datetime(2026, 11, 21, 10, 44, second, 999_999, tzinfo=UTC)


def entry(number=1, content_hash=None, **known):
    return Entry(number, known.pop("author", "ann"), at(53), content_hash, **known)


def described(description):
    """What of a description stands in the entry."""
    bare = render_entry(entry())
    text = render_entry(entry(description=description))
    assert text.startswith(bare)
    return text.removeprefix(bare).removeprefix("\n\n")


class TestRender:
    def test_the_worked_example_comes_out_byte_for_byte(self):
        changes = "## What changed\n\n- grid layout\n- # not a heading any more\n\nSee the docs.\n"
        gadget = [
            Entry(2, "cat", at(59), GADGET_2, " Touch support "),
            Entry(1, "cat", at(58), GADGET_1, "Forked for the kiosk", forked_from=("widget", 3)),
        ]
        widget = [
            Entry(3, "ann", at(56), WIDGET_3),
            Entry(
                2,
                "bob",
                at(54),
                "sha256:00",
                "Adds the grid",
                changes,
                True,
                " leaked a credential\n",
            ),
            Entry(1, "ann", at(53), WIDGET_1, "Initial release"),
        ]
        assert render([Chapter("gadget", gadget), Chapter("widget", widget, 3)]) == EXAMPLE

        assert render([Chapter("gadget", [])]) == EXAMPLE[: EXAMPLE.index("\n### ")]

    def test_the_copy_in_its_own_archive_has_no_hash_line(self):
        assert "Hash" not in render_entry(entry(content_hash=None))
        assert f"- **Hash:** {WIDGET_1}\n" in render_entry(entry(content_hash=WIDGET_1)) + "\n"

    def test_a_reason_shows_only_on_a_tombstone(self):
        assert "Tombstoned" not in render_entry(entry(tombstone_reason="bad"))
        assert "Tombstoned" not in render_entry(entry(tombstoned=True, tombstone_reason=" "))

    def test_lines_of_one_line_fields_are_folded(self):
        stone = {"tombstoned": True, "tombstone_reason": "e\vf\x85g"}
        text = render_entry(entry(author="a\r\nb", summary="c\n\n### Version 9\u2028d", **stone))
        assert text.split("\n")[2:] == [
            "- **Author:** a b",
            "- **Date:** 2026-11-21T10:44:53Z",
            "- **Message:** c ### Version 9 d",
            "- **Tombstoned:** e f g",
        ]

    def test_an_entry_s_text_may_be_remembered(self):
        remembered = {1: "### Version 1", 2: "### Version 2"}
        text = render([Chapter("g", [entry(2), entry(1)])], lambda entry: remembered[entry.number])
        assert text.endswith("## Versions\n\n### Version 2\n\n### Version 1\n")


class TestDescription:
    def test_headings_are_taken_away_and_all_else_stays(self):
        for sent, shown in (
            *(("", ""), (" \n\t", ""), ("##", "")),
            *(("   ### deep", "deep"), ("#NoSpace", "NoSpace")),
            ("a\n#  two", "a\n two"),
            ("a # b\n- # c", "a # b\n- # c"),
            ("a\r\n# b\rc\r\n", "a\r\nb\rc"),
            ("a\n#\n\nb\n#", "a\n\n\nb"),
            ("    code\n\tx = 1", "code\n\tx = 1"),
            ("- a\n-- b\n--- c\n-> d", "- a\n-- b\n--- c\n-> d"),
            ("a | b\n--- | ---", "a | b\n--- | ---"),
        ):
            assert described(sent) == shown

    def test_nothing_in_it_can_pass_for_structure(self):
        for sent, shown in (
            ("# ### Version 9", "Version 9"),
            ("a\n\u00a0\u2003### b", "a\nb"),
            ("a\r### b\v# c\f# d\u2028# e\x85# f\x1e# g", "a\rb\vc\fd\u2028e\x85f\x1eg"),
            ("---", "\\---"),
            ("a\n  --- \r\nb", "a\n  \\--- \r\nb"),
            ("# ---", "\\---"),
            ("Version 9\n=========\nVersion 8\n-", "Version 9\n\\=========\nVersion 8\n\\-"),
            ("a\r---\u2029---", "a\r\\---\u2029\\---"),
        ):
            assert described(sent) == shown


class TestReadClaim:
    def test_a_history_claims_its_package_and_highest_version(self):
        assert read_claim(EXAMPLE) == Claim("gadget", 2, GADGET_2)

    def test_line_ends_blanks_and_text_before_do_not_matter(self):
        text = "Read me.\n\n" + EXAMPLE.replace("# Package History:", "#  Package\tHistory:   ", 1)
        assert read_claim(text.replace("\n", "\r\n")) == Claim("gadget", 2, GADGET_2)
        assert read_claim("\ufeff" + EXAMPLE) == Claim("gadget", 2, GADGET_2)

        assert read_claim("# u\u0308@1") == Claim("ü", 1)

    def test_the_highest_version_of_the_section_counts(self):
        for versions in (
            "### Version 3\n### Version 7 (tombstoned)\n### Version 5\n",
            "### Version 7\n---\n### Version 8\n",
            "### Version 7\n## Forked from\n### Version 8\n",
            "### Version 7\n### Version 1000000000\n### Version ٨\n### Version 8x\n ### Version 9",
        ):
            head = "# Package History: a\n### Version 9\n## Versions\n"
            assert read_claim(head + versions) == Claim("a", 7)

    def test_anything_else_claims_nothing(self):
        for text in (
            *("", "hello", "# Package History: a", "# a@1000000000", "# a@x", "a@1"),
            "# Package History: a b\n## Versions\n### Version 1",
            "# package history: a\n## Versions\n### Version 1",
            " # Package History: a\n## Versions\n### Version 1",
            "## Versions\n### Version 1\n# Package History: a",
            "# Package History: a\n## Versions\n",
            "# Package History: a\n## Versions\n---\n### Version 1",
            "# Package History: a\n## Versions\n### Version 1000000000",
            "# Package History: a\n## Versions\n### Version two",
            "# Package History: a\n## Versions\n### Version 1 of 3",
        ):
            assert read_claim(text) is None
        assert history.read_claim(EXAMPLE.encode() + b"\xc3") is None
        assert history.read_claim(b"\xff" + EXAMPLE.encode()) is None

    def test_the_hash_is_the_one_of_the_highest_version_or_none(self):
        forged = entry(2, author="- **Hash:** x", description=f"- **Hash:** {GADGET_2}")
        text = render([Chapter("g", [forged, entry(1, WIDGET_1)])])
        assert read_claim(text) == Claim("g", 2, None)
        blocks = f"### Version 2\n### Version 1\n- **Hash:** {WIDGET_1}"
        assert read_claim(f"# Package History: g\n## Versions\n{blocks}") == Claim("g", 2, None)

    def test_the_workbench_s_own_record_is_read_too(self):
        text = (
            "\n# widget@3\n[time: 2026-06-13T15:14:50Z, author: Acme, hash: eb1ddd1ce6a9]\n\nText\n"
            "# widget@2\n[time: 2026-06-12T15:14:50Z, author: Acme, hash: 000000000000]\n"
        )
        assert read_claim(text) == Claim("widget", 3, "eb1ddd1ce6a9")
        assert read_claim(text.replace("\n", "\r\n")) == Claim("widget", 3, "eb1ddd1ce6a9")

    def test_an_author_cannot_give_the_workbench_s_hash(self):
        text = "# w@3\n[time: t, author: x, hash: 11111111], hash: eb1ddd1ce6a9]"
        assert read_claim(text) == Claim("w", 3, "eb1ddd1ce6a9")

    def test_the_workbench_s_record_may_lack_a_usable_hash(self):
        for facts in ("", "[time: t, author: a]", "[hash: eb1d]", "hash: eb1ddd1c]"):
            assert read_claim(f"# w@3\n{facts}\n") == Claim("w", 3, None)

    def test_hostile_text_is_read_in_linear_time(self):
        """Reading in quadratic time would take hours here."""
        head = "# Package History: a\n## Versions\n### Version 1\n"
        pieces = ("\n", " ", "#", "\r\n", "# ", "-", "@1", "hash:", "- **Hash:** ", "- a\n", "x")
        for lead, name in (
            ("", None),
            (head, "a"),
            ("# a@1\n[", "a"),
            ("# Package History:", None),
        ):
            for piece in pieces:
                claim = read_claim(lead + piece * (300_000 // len(piece)) + "!")
                assert (claim.package if claim else None) == name
        marks = "u" + "\u0301\u0323" * 200_000
        assert read_claim(f"# {marks}@1") is None
        assert read_claim(f"# Package History: {marks}\n## Versions\n### Version 1") is None


class TestAgreesWith:
    def test_a_hash_is_compared_by_the_digits_that_are_given(self):
        assert Claim("a", 1, GADGET_2).agrees_with(GADGET_2) is True
        assert Claim("a", 1, "CE8B85843D27").agrees_with(GADGET_2) is True
        assert Claim("a", 1, "ce8b8584").agrees_with(GADGET_2.removeprefix("sha256:")) is True
        assert Claim("a", 1, "ce8b8585").agrees_with(GADGET_2) is False
        assert Claim("a", 1, GADGET_2 + "0").agrees_with(GADGET_2) is None
        for claimed in (None, "", "ce8b858", "sha256:", "not a hash"):
            assert Claim("a", 1, claimed).agrees_with(GADGET_2) is None


# --- Properties --------------------------------------------------------------------------------

LINE_ENDS = ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"]
FORGERIES = [
    *LINE_ENDS,
    *("\n\n", " ", "\t", "\u00a0", "\u3000", "\ufeff", "\u200b", "\\", "#", "##", "-", "=", "---"),
    *(
        "# Package History: evil\n",
        "## Versions\n",
        "### Version 99",
        "### Version 99 (tombstoned)",
    ),
    *("Version 99", f"- **Hash:** {GADGET_2}", "# evil@9\n", "[hash: eb1ddd1ce6a9]", "<!--", "```"),
]
foreign = st.lists(st.sampled_from(FORGERIES) | st.text(max_size=3), max_size=6).map("".join)
hashes = st.none() | st.sampled_from([GADGET_1, WIDGET_1, WIDGET_3])


@st.composite
def entries(draw, up_to):
    return [
        Entry(
            number,
            draw(foreign),
            at(0),
            draw(hashes),
            draw(foreign),
            draw(foreign),
            draw(st.booleans()),
            draw(foreign),
            ("origin", 3) if number == 1 and draw(st.booleans()) else None,
        )
        for number in range(up_to, 0, -1)
    ]


@given(st.integers(1, 3).flatmap(entries), st.none() | st.integers(1, 2).flatmap(entries))
@example([entry(description="a\r# b")], None)
def test_no_text_of_a_publisher_can_forge_a_history(own, ancestor):
    chapters = [Chapter("true-name", own)]
    if ancestor is not None:
        chapters.append(Chapter("origin", ancestor, ancestor[0].number))
    text = render(chapters)

    content_hash = None if own[0].tombstoned else own[0].content_hash
    assert read_claim(text) == Claim("true-name", own[0].number, content_hash)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")

    for lines in (text.split("\n"), text.splitlines()):
        headings = [line for line in lines if line.lstrip().startswith("#")]
        assert len(headings) == 2 + len(own) + (1 + len(ancestor) if ancestor else 0)
        rules = [line for line in lines if re.fullmatch(r"\s*(-+|=+)\s*", line)]
        assert rules == (["---"] if ancestor else [])


@given(foreign)
def test_any_text_can_be_read(text):
    for head in ("", "# Package History: a\n## Versions\n", "# a@1\n"):
        claim = read_claim(head + text)
        assert claim is None or claim.agrees_with(GADGET_1) in (True, False, None)
