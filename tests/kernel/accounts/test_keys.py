"""Keys prove their form without a hub: a checksum in the tail, and the older form without one."""

import re
import zlib

from hypothesis import given
from hypothesis import strategies as st

from hubrepo.kernel.accounts import keys_in
from hubrepo.kernel.accounts.keys import NewKey, checksum_of, digest_of, prefix_of
from hubrepo.kernel.accounts.models import ApiKey
from hubrepo.kernel.accounts.patterns import regex_of
from tests.support.hub import Client

# The secret has 43 of these, then come six of 0-9A-Za-z.
SECRET = "0123456789abcdefghijklmnopqrstuvwxyz_-ABCDE"
OLD = f"kpf_0123abcd_{SECRET}"


def test_a_key_has_256_random_bits_behind_its_prefix_and_a_checksum():
    new = NewKey.make()
    assert re.fullmatch(r"kpf_[0-9a-f]{8}_[A-Za-z0-9_-]{43}[0-9A-Za-z]{6}", new.plain)
    assert prefix_of(new.plain) == new.prefix == new.plain[4:12]
    assert NewKey.make().plain[13:] != new.plain[13:]


def test_the_checksum_is_what_the_documents_say():
    """CRC-32 in base 62, written out here as somebody else would."""
    number = zlib.crc32(OLD.encode())
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    expected = "".join(digits[number // 62**place % 62] for place in range(5, -1, -1))
    assert checksum_of(OLD) == expected
    assert prefix_of(OLD + expected) == "0123abcd"


@given(st.integers(0, 61), st.sampled_from("abcXYZ019-_"))
def test_a_slip_anywhere_is_seen(at, other):
    key = OLD + checksum_of(OLD)
    slipped = key[:at] + other + key[at + 1 :]
    assert (prefix_of(slipped) is None) == (slipped != key)


def test_a_key_of_the_old_form_stays_good(acme):
    made = acme.hub.issue_key(acme.slug)
    old = made[:-6]
    with acme.hub.registry.database.write() as db:
        db.query(ApiKey).filter_by(prefix=old[4:12]).one().digest = digest_of(old)
    Client(acme.hub, acme.slug, old).get("/api/packages")
    # It is what it was: with a checksum it is another one.
    Client(acme.hub, acme.slug, made).get("/api/packages", 401)


def test_keys_are_found_in_text_and_what_only_looks_like_one_is_not():
    for key in (OLD, OLD + checksum_of(OLD)):
        for around in ("{}", 'key = "{}"\n', "Api-Key {}", "x={};", "\n{}\r\n"):
            text = around.format(key)
            assert list(keys_in(f"{text} and {text}")) == [key, key]
    for text in (
        "", "kpf_0123abcd", OLD[:-1], OLD + "abc123", OLD.upper(), f"x{OLD}", f"{OLD}_", "kpf_" * 999,
    ):  # fmt: skip
        assert list(keys_in(text)) == []


def test_a_pattern_matches_whole_names_of_its_kind():
    for patterns, matching, others in (
        (("packages:a*",), ["a", "ab", "a.b"], ["", "b", "ba", "A"]),
        (("packages:a.b",), ["a.b"], ["axb", "a.bc", "a.b\n"]),
        (("packages:a", "pages:b"), ["a"], ["b", "ab"]),
        (("packages:a", "packages:b"), ["a", "b"], ["ab", "a|b"]),
        (("pages:*",), [], ["", "a", "b"]),
        (("packages:é?",), ["éa"], ["é", "eab"]),
    ):
        regex = regex_of(patterns, "packages")
        found = [name for name in matching + others if re.fullmatch(regex, name) and name]
        assert found == matching
