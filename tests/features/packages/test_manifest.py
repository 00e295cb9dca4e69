import contextlib
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


class TestReadManifest:
    def test_name_and_author_are_trimmed(self):
        assert read_manifest(b'[package]\nname = " g "\nauthor = " c\t"\n') == Manifest("g", "c")

    @pytest.mark.parametrize(
        "raw",
        [
            b'package = {name = "g", author = "c"}',
            b'package.name = "g"\r\npackage.author = "c"\r\n',
            b'[ "package" ]\n"name" = "g"\nauthor = """\nc"""',
        ],
    )
    def test_all_of_toml_is_understood(self, raw):
        assert read_manifest(raw) == Manifest("g", "c")

    @pytest.mark.parametrize(
        ("value", "text"),
        [("7", "7"), ("1.50", "1.5"), ("true", "True"), ('["a"]', "['a']"), ("nan", "nan")],
    )
    def test_other_values_are_turned_into_text(self, value, text):
        raw = f"[package]\nname = {value}\nauthor = {value}\n".encode()
        assert read_manifest(raw) == Manifest(text, text)

    @pytest.mark.parametrize("value", ['""', '" \\t "', "0", "0.0", "false", "[]", "{}"])
    def test_what_is_false_or_blank_is_missing(self, value):
        assert read_manifest(f"[package]\nname = 'g'\nauthor = {value}".encode()).author is None
        with pytest.raises(InvalidManifest) as refusal:
            read_manifest(f"[package]\nname = {value}\nauthor = 'c'".encode())
        assert str(refusal.value) == "missing `[package] 'name' property` in package.toml` file"

    @pytest.mark.parametrize(
        "raw", [b"", b'package = "x"', b"package = 1979-05-27", b"[[package]]\nname = 'g'", b"[p]"]
    )
    def test_without_a_package_table_the_name_is_missing(self, raw):
        with pytest.raises(InvalidManifest) as refusal:
            read_manifest(raw)
        assert str(refusal.value) == "missing `[package] 'name' property` in package.toml` file"

    @pytest.mark.parametrize(
        "raw",
        [
            b"[package",
            b"\xef\xbb\xbf[package]\nname = 'g'",
            "[package]\nname = 'g'".encode("utf-16"),
            b"[package]\nname = '\xff'",
            b"[package]\rname = 'g'\r",
            b"[package]\nname = 'g'\n[package]\n",
            b"[package]\nname = 'g'\nx = " + b"[" * 9000,
            b"[package]\nname = 'g'\nx = " + b"{a=" * 9000,
            b"[package]\nname = " + b"9" * 9000,
            b"[package]\nname = 0x" + b"f" * 9000,
            b"[package]\nname = 'g'\n" + b"a." * 9000 + b"a = 1",
            b"[package]\nname = 'g'\n" + rb'"\"".' * 9000 + b"a = 1",
        ],
    )
    def test_what_is_no_toml_or_nested_without_end_is_refused(self, raw):
        with pytest.raises(InvalidManifest) as refusal:
            read_manifest(raw)
        assert str(refusal.value) == "`package.toml` is not valid TOML"

    def test_a_manifest_has_a_largest_size(self):
        raw = b"[package]\nname = 'g'\n#"
        assert read_manifest(raw.ljust(256 * 1024, b"x")).name == "g"
        with pytest.raises(InvalidManifest, match="256 KiB"):
            read_manifest(raw.ljust(256 * 1024 + 1, b"x"))


class TestAuthor:
    def test_255_characters_are_an_author(self):
        assert checked_author(f" {'ü' * 255}\n") == "ü" * 255

    @pytest.mark.parametrize("author", ["x" * 256, "a\nb", "a\rb", "a\u2028b", "a\0b", "a\u202eb"])
    def test_long_authors_and_those_of_several_lines_are_refused(self, author):
        with pytest.raises(InvalidManifest, match="one line of at most 255 characters"):
            checked_author(author)

    def test_the_manifest_s_author_is_checked_too(self):
        with pytest.raises(InvalidManifest, match="one line of at most 255 characters"):
            read_manifest(b'[package]\nname = "g"\nauthor = "a\\nb"')

    def test_the_first_that_is_not_blank_stands_in_for_the_manifest_s(self):
        assert Manifest("g", "c").author_or("form", "user") == "c"
        assert Manifest("g", None).author_or(" form ", "user") == "form"
        assert Manifest("g", None).author_or(None, " ", "user") == "user"

    def test_nobody_is_no_author(self):
        text = "missing `[package] 'author' property` in package.toml` file"
        for refused in (
            lambda: Manifest("g", None).author_or("", None),
            lambda: checked_author(" "),
        ):
            with pytest.raises(InvalidManifest) as refusal:
                refused()
            assert str(refusal.value) == text


USUAL = [
    (
        '[package]\nname = "g"\nauthor = "c"\n',
        '[package]\nversion = 2\nname = "g"\nauthor = "c"\n',
    ),
    (
        '[package]\nname = "g"\nversion = "1.2" # x\nauthor = "c"\n\n[other]\nversion = 5\n',
        '[package]\nname = "g"\nversion = 2\nauthor = "c"\n\n[other]\nversion = 5\n',
    ),
    (
        '  [ package ]  # c\nname = "g"\nauthor = "c"',
        '  [ package ]  # c\nversion = 2\nname = "g"\nauthor = "c"',
    ),
    (
        '# v\n[a]\nversion = 1\n[package]\n# version = 1\nversion=1\nname = "g"',
        '# v\n[a]\nversion = 1\n[package]\n# version = 1\nversion = 2\nname = "g"',
    ),
    ("[package]\nname='g'\nversion = 1", "[package]\nname='g'\nversion = 2"),
    (
        "[package]\nversions = 1\nname='g'\n[package.sub]\nversion = 1\n",
        "[package]\nversion = 2\nversions = 1\nname='g'\n[package.sub]\nversion = 1\n",
    ),
    (
        "title = 'ü'\n\n[package]\n\n\nname='g'",
        "title = 'ü'\n\n[package]\nversion = 2\n\n\nname='g'",
    ),
]

OTHER = [
    # line ends
    ("[package]\r\nname='g'\r\n", "[package]\r\nversion = 2\r\nname='g'\r\n"),
    ("[package]\r\nversion = 1 # x\r\nname='g'\r\n", "[package]\r\nversion = 2\r\nname='g'\r\n"),
    ("[a]\n[package]\r\nname='g'\n", "[a]\n[package]\r\nversion = 2\r\nname='g'\n"),
    ("package.name='g'", "package.version = 2\npackage.name='g'"),
    ("[package.name]\r\nx=1\r\n[package]", "[package.name]\r\nx=1\r\n[package]\r\nversion = 2"),
    # inline tables
    ("package = {name = 'g'}", "package = {version = 2, name = 'g'}"),
    ("package={ name='g', version='1' } # c\n", "package={ name='g', version = 2 } # c\n"),
    (
        "package = {v=[1,{version=3}], name='g'}",
        "package = {version = 2, v=[1,{version=3}], name='g'}",
    ),
    ("package = {version.a=1, version.b=2, name='g'}", "package = {version = 2,  name='g'}"),
    # dotted keys
    ("a=1\npackage.name='g'\n[b]\n", "a=1\npackage.version = 2\npackage.name='g'\n[b]\n"),
    ("package.name='g'\npackage . version='1'\n", "package.name='g'\npackage.version = 2\n"),
    # quoted headings and keys
    ("[\"package\"]\nname='g'\n", "[\"package\"]\nversion = 2\nname='g'\n"),
    ("[ 'package' ]\nname='g'\n", "[ 'package' ]\nversion = 2\nname='g'\n"),
    ('["p\\u0061ckage"]\nname=""\n', '["p\\u0061ckage"]\nversion = 2\nname=""\n'),
    ("[package]\n\"version\" = 1\nname='g'\n", "[package]\nversion = 2\nname='g'\n"),
    ("[package]\n 'version' = 1\nname='g'\n", "[package]\nversion = 2\nname='g'\n"),
    # values of several lines
    ("[package]\nversion = '''\n1\n[a]\n'''\nname='g'", "[package]\nversion = 2\nname='g'"),
    ("[package]\nversion = [ # ]\n [1],\n]# x\nname='g'", "[package]\nversion = 2\nname='g'"),
    (
        '[package]\nabout = """\nversion = 1\\"""\n[package]\n"""\nversion = 1\n',
        '[package]\nabout = """\nversion = 1\\"""\n[package]\n"""\nversion = 2\n',
    ),
    (
        'a = """\n[package]\n"""""\nb = """"\n[package]"""\n[package]\nname="g"',
        'a = """\n[package]\n"""""\nb = """"\n[package]"""\n[package]\nversion = 2\nname="g"',
    ),
    (
        "[package]\nx = [\n[1], # [\n['[package]']\n]\nversion = 1\n",
        "[package]\nx = [\n[1], # [\n['[package]']\n]\nversion = 2\n",
    ),
    # tables
    ("[[a]]\nversion = 1\n[package]\nx=nan", "[[a]]\nversion = 1\n[package]\nversion = 2\nx=nan"),
    ("[[package.a]]\nversion=1\n[package]\n", "[[package.a]]\nversion=1\n[package]\nversion = 2\n"),
    (
        "[package]\nname='g'\nversion.workspace = true\nversion.x=1\n",
        "[package]\nname='g'\nversion = 2\n",
    ),
    (
        "[package.version]\nx=1\n# c\n[package.version.y]\n[[package.version.z]]\n[package]\nx=1",
        "# c\n[package]\nversion = 2\nx=1",
    ),
    ("package.name='g'\n[package.version]\nx=1", "package.version = 2\npackage.name='g'\n"),
    (
        "package.version.x=1\npackage.name='g'\n[package.version.y]\nz=1\n[b]\n",
        "package.version = 2\npackage.name='g'\n[b]\n",
    ),
]


class TestStamp:
    @pytest.mark.parametrize(("sent", "stored"), USUAL)
    def test_the_usual_form_is_stamped_as_the_contract_says(self, sent, stored):
        assert stamp(sent.encode(), 2) == stored.encode()

    @pytest.mark.parametrize(("sent", "stored"), OTHER)
    def test_every_other_form_is_stamped_in_its_own_way(self, sent, stored):
        assert stamp(sent.encode(), 2) == stored.encode()

    @pytest.mark.parametrize(
        "raw",
        [
            b"package = 1",
            b"[[package]]\nname = 'g'",
            b"[other]",
            b"package = {}",
            b"[package.name]\nx = 1",
            b"package = {name = 'g', version.workspace = true, version.x = 1}",
        ],
    )
    def test_what_has_no_place_for_a_version_is_refused(self, raw):
        with pytest.raises(InvalidManifest) as refusal:
            stamp(raw, 2)
        assert str(refusal.value) == "`package.toml` cannot be stamped with the version"

    def test_what_is_no_toml_is_refused(self):
        with pytest.raises(InvalidManifest, match="is not valid TOML"):
            stamp(b"[package]\nversion = 1\nversion = 2\n", 2)


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
