"""What is compared in one pass has to come in order, or nothing follows from it."""

from datetime import UTC, datetime

import pytest

from hubrepo.kernel.blobs import OutOfOrder, ascending
from hubrepo.kernel.blobs.stores import Stored


def test_what_is_not_in_order_is_an_error():
    def things(*keys):
        return [Stored(key, 1, datetime(2026, 1, 1, tzinfo=UTC)) for key in keys]

    assert list(ascending("they", things("0", "a", "aa", "b"))) == things("0", "a", "aa", "b")
    for keys in (("b", "aa"), ("a", "a")):
        with pytest.raises(OutOfOrder, match="they are not in the order of keys"):
            list(ascending("they", things(*keys)))
