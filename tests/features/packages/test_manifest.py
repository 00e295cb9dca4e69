import contextlib
import re
import tomllib

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from hubrepo.features.packages.manifest import (
    InvalidManifest,
    Manifest,
    checked_author,
    read_manifest,
    stamp,
)


def parsed(raw):
    return tomllib.loads(raw.decode(), parse_float=str)


NO_NAME = "missing `[package] 'name' property` in package.toml` file"
NO_AUTHOR = "missing `[package] 'author' property` in package.toml` file"
NOT_TOML = "`package.toml` is not valid TOML"


def refusal(act, *arguments):
    """Return the message of the refusal that this call ends in."""
    with pytest.raises(InvalidManifest) as refused:
        act(*arguments)
    return str(refused.value)


class TestReadManifest:
    def test_all_of_toml_is_understood_and_values_are_trimmed(self):
        for raw in (
            b'[package]\nname = " g "\nauthor = " c\t"\n',
            b'package = {name = "g", author = "c"}',
            b'package.name = "g"\r\npackage.author = "c"\r\n',
            b'[ "package" ]\n"name" = "g"\nauthor = """\nc"""',
        ):
            assert read_manifest(raw) == Manifest("g", "c")

    def test_other_values_are_turned_into_text(self):
        for value, text in (
            *(("7", "7"), ("1.50", "1.5"), ("true", "True"), ('["a"]', "['a']"), ("nan", "nan")),
            ("1979-05-27", "1979-05-27"),
        ):
            raw = f"[package]\nname = {value}\nauthor = {value}\n".encode()
            assert read_manifest(raw) == Manifest(text, text)

    def test_what_is_false_or_blank_is_missing(self):
        for value in ('""', '" \\t "', "0", "0.0", "false", "[]", "{}"):
            assert read_manifest(f"[package]\nname = 'g'\nauthor = {value}".encode()).author is None
            raw = f"[package]\nname = {value}\nauthor = 'c'".encode()
            assert refusal(read_manifest, raw) == NO_NAME

    def test_without_a_package_table_the_name_is_missing(self):
        for raw in (
            *(b"", b'package = "x"', b"package = 1", b"package = 1979-05-27", b"[p]", b"[package]"),
            b"[[package]]\nname = 'g'",
            b"name = 'g'\nauthor = 'c'",
        ):
            assert refusal(read_manifest, raw) == NO_NAME

    def test_what_is_no_toml_or_nested_without_end_is_refused(self):
        for raw in (
            *(b"[package", b"\xef\xbb\xbf[package]\nname = 'g'", "[package]".encode("utf-16")),
            *(b"[package]\nname = '\xff'", b"[package]\nname = 'a\0b'", b"[package]\rname = 'g'\r"),
            *(b"[package]\nname = 'g'\nname = 'g'", b"[package]\nname = 'g'\n[package]\n"),
            b"[package]\nname = 'g'\nx = " + b"[" * 9000,
            b"[package]\nname = 'g'\nx = " + b"{a=" * 9000,
            b"[package]\nname = " + b"9" * 9000,
            b"[package]\nname = 0x" + b"f" * 9000,
            b"[package]\nname = 'g'\n" + b"a." * 9000 + b"a = 1",
            b"[package]\nname = 'g'\n" + rb'"\"".' * 9000 + b"a = 1",
        ):
            assert refusal(read_manifest, raw) == NOT_TOML

    def test_a_manifest_has_a_largest_size(self):
        raw = b"[package]\nname = 'g'\n#"
        assert read_manifest(raw.ljust(256 * 1024, b"x")).name == "g"
        assert "256 KiB" in refusal(read_manifest, raw.ljust(256 * 1024 + 1, b"x"))


class TestAuthor:
    def test_it_is_one_line_of_at_most_255_characters(self):
        assert checked_author(f" {'ü' * 255}\n") == "ü" * 255
        for author in ("x" * 256, "a\nb", "a\rb", "a\u2028b", "a\0b", "a\u202eb"):
            assert "one line of at most 255 characters" in refusal(checked_author, author)
        raw = b'[package]\nname = "g"\nauthor = "a\\nb"'
        assert "one line of at most 255 characters" in refusal(read_manifest, raw)

    def test_the_first_that_is_not_blank_stands_in_for_the_manifest_s(self):
        assert Manifest("g", "c").author_or("form", "user") == "c"
        assert Manifest("g", None).author_or(" form ", "user") == "form"
        assert Manifest("g", None).author_or(None, " ", "user") == "user"

    def test_nobody_is_no_author(self):
        assert refusal(Manifest("g", None).author_or, "", None) == NO_AUTHOR
        assert refusal(checked_author, " ") == NO_AUTHOR


# Of each `<sent|stored>` the left side is in the upload and the right one in what is kept as version 2.
STAMPED = [
    # the usual form, as the contract has it
    '[package]\n<|version = 2\n>name = "g"\nauthor = "c"\n',
    '[package]\nname = "g"\n<version = "1.2" # x|version = 2>\nauthor = "c"\n\n[other]\nversion = 5\n',
    '  [ package ]  # c\n<|version = 2\n>name = "g"\nauthor = "c"',
    '# v\n[a]\nversion = 1\n[package]\n# version = 1\n<version=1|version = 2>\nname = "g"',
    "[package]\nname='g'\n<version = 1|version = 2>",
    "[package]\n<|version = 2\n>versions = 1\nname='g'\n[package.sub]\nversion = 1\n",
    "title = 'ü'\n\n[package]\n<|version = 2\n>\n\nname='g'",
    # line ends
    "[package]\r\n<|version = 2\r\n>name='g'\r\n",
    "[package]\r\n<version = 1 # x|version = 2>\r\nname='g'\r\n",
    "[a]\n[package]\r\n<|version = 2\r\n>name='g'\n",
    "<|package.version = 2\n>package.name='g'",
    "[package.name]\r\nx=1\r\n[package]<|\r\nversion = 2>",
    # inline tables
    "package = {<|version = 2, >name = 'g'}",
    "package={ name='g', <version='1'|version = 2> } # c\n",
    "package = {<|version = 2, >v=[1,{version=3}], name='g'}",
    "package = {<version.a=1, version.b=2,|version = 2, > name='g'}",
    # dotted keys
    "a=1\n<|package.version = 2\n>package.name='g'\n[b]\n",
    "package.name='g'\n<package . version='1'|package.version = 2>\n",
    # quoted headings and keys
    "[\"package\"]\n<|version = 2\n>name='g'\n",
    "[ 'package' ]\n<|version = 2\n>name='g'\n",
    '["p\\u0061ckage"]\n<|version = 2\n>name=""\n',
    "[package]\n<\"version\" = 1|version = 2>\nname='g'\n",
    "[package]\n< 'version' = 1|version = 2>\nname='g'\n",
    '[package]\n<|version = 2\n>"na\\u006de"=""\nversio=1',
    "[package]#\n<|version = 2\n>name='g'#",
    # values of several lines
    "[package]\n<version = '''\n1\n[a]\n'''|version = 2>\nname='g'",
    "[package]\n<version = [ # ]\n [1],\n]# x|version = 2>\nname='g'",
    '[package]\nabout = """\nversion = 1\\"""\n[package]\n"""\n<version = 1|version = 2>\n',
    'a = """\n[package]\n"""""\nb = """"\n[package]"""\n[package]\n<|version = 2\n>name="g"',
    "[package]\nx = [\n[1], # [\n['[package]']\n]\n<version = 1|version = 2>\n",
    # tables
    "[[a]]\nversion = 1\n[package]\n<|version = 2\n>x=nan",
    "[[package.a]]\nversion=1\n[package]\n<|version = 2\n>",
    "[package]\nname='g'\n<version.workspace = true\nversion.x=1|version = 2>\n",
    "<[package.version]\nx=1\n|># c\n<[package.version.y]\n|>[package]\n<|version = 2\n>x=1",
    "<[[package.version]]\n|>[package]\n<|version = 2\n>x=1",
    "<|package.version = 2\n>package.name='g'\n<[package.version]\nx=1|>",
    "<package.version.x=1|package.version = 2>\npackage.name='g'\n<[package.version.y]\nz=1\n|>[b]\n",
]


class TestStamp:
    def test_the_version_is_written_in_the_way_of_each_form_and_nothing_else_changes(self):
        for template in STAMPED:
            sent, stored = (
                re.sub(r"<(.*?)\|(.*?)>", side, template, flags=re.DOTALL)
                for side in (r"\1", r"\2")
            )
            assert stamp(sent.encode(), 2).decode() == stored

    def test_what_has_no_place_for_a_version_is_refused(self):
        for raw in (
            *(b"package = 1", b"[[package]]\nname = 'g'", b"[other]", b"package = {}"),
            b"[package.name]\nx = 1",
            b"package = {name = 'g', version.workspace = true, version.x = 1}",
        ):
            assert refusal(stamp, raw, 2) == "`package.toml` cannot be stamped with the version"
        assert refusal(stamp, b"[package]\nversion = 1\nversion = 2\n", 2) == NOT_TOML


# --- Properties --------------------------------------------------------------------------------

TRAPS = ["[package]", "version = 9", "package.version = 9", "]", "}", "#", "=", ",", "", "[a]", "'"]

text_lines = st.lists(st.sampled_from(TRAPS) | st.text("ab ü", max_size=3), max_size=4)
values = st.recursive(
    st.sampled_from(["1", "-1.50", "nan", "true", "1979-05-27 07:32:00Z", '"\\"#"', "'[x]'", '""'])
    | text_lines.map(lambda lines: '"""' + "\n".join(lines) + '"""')
    | text_lines.map(lambda lines: '"""""' + "\\\n".join(lines) + '"""')
    | text_lines.map(lambda lines: "'''\n" + "\n".join(lines).replace("'", "") + "'''''"),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[ # [\n" + ",\n".join(items) + "\n]")
        | st.lists(inner, max_size=2).map(
            lambda items: "{" + ", ".join(f"version{i} = {v}" for i, v in enumerate(items)) + "}"
        )
    ),
    max_leaves=4,
)
comments = st.sampled_from(["", "  # version = 9", "\n", "\n# [package]", "\t"])
versions = st.one_of(
    st.just([]),
    st.tuples(st.sampled_from(["version", '"version"', "  'version'"]), values).map(
        lambda kv: [kv]
    ),
    st.tuples(st.just("version.a . b"), values).map(lambda kv: [kv, ("version.c", "1")]),
)


@st.composite
def package_items(draw):
    items = [(f"k{i}", value) for i, value in enumerate(draw(st.lists(values, max_size=3)))]
    return draw(st.permutations([("name", '"g"'), *items, *draw(versions)]))


@st.composite
def documents(draw):
    items = draw(package_items())
    match draw(st.sampled_from(["table", "quoted", "inline", "dotted"])):
        case "inline":
            package = ["package = { " + ",".join(f"{key} = {value}" for key, value in items) + " }"]
        case "dotted":
            package = [f"package.{key} = {value}" for key, value in items]
        case form:
            heading = " [ package\t]" if form == "table" else "['package']"
            package = [heading, *(f"{key} = {value}" for key, value in items)]
    others = [
        line
        for i in range(draw(st.integers(0, 2)))
        for line in (draw(st.sampled_from([f"[o{i}]", f"[[o{i}]]"])), f"version = {draw(values)}")
    ]
    table = package[0].lstrip().startswith("[")
    lines = [*others, *package] if table and draw(st.booleans()) else [*package, *others]
    if draw(st.booleans()):
        lines.insert(0, f"version = {draw(values)}")
    text = "".join(line + draw(comments) + "\n" for line in lines)
    return text if draw(st.booleans()) else text.replace("\n", "\r\n")


@given(documents(), st.integers(1, 10**9))
def test_stamping_changes_nothing_but_the_version(text, version):
    raw = text.encode()
    try:
        expected = parsed(raw)
    except ValueError:
        assume(False)
    expected["package"]["version"] = version
    try:
        stored = stamp(raw, version)
    except InvalidManifest:
        assert "package = {" in text  # of inline tables, a dotted version at the end is refused
        assert "version.c" in text
        return
    assert parsed(stored) == expected
    assert (b"\r\n" in stored) == (b"\r\n" in raw)
    assert stored.count(b"\r\n") in (0, stored.count(b"\n"))
    assert stamp(stored, version) == stored
    assert stamp(stamp(raw, version + 1), version) == stored


BRACKETS = ["[", "]", "{", "}", "=", ".", ",", '"', '"""', "'", "'''", "\\", "#", " ", "\n", "\r\n"]
WORDS = ["package", "version", "name", "[package]\n", "name='g'", "1", "\ufeff", "\0", "\r", "ü"]
pieces = st.lists(st.sampled_from(BRACKETS + WORDS)).map("".join)


@given(st.binary() | pieces.map(str.encode))
@example(b"[package]\nname='g'\n" + b"x=" + b"[" * 300 + b"]" * 300)
def test_no_bytes_end_in_anything_but_a_manifest_or_a_refusal(raw):
    for use in (read_manifest, lambda raw: stamp(raw, 1)):
        with contextlib.suppress(InvalidManifest):
            use(raw)
