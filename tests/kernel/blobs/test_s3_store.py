"""S3 as a store: the requests it sends, how it starts, and what happens when S3 fails."""

import builtins
import http.client
import io
import traceback
from base64 import b64encode
from collections import Counter
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from urllib.request import urlopen

import pytest
from botocore.exceptions import ClientError

from hubrepo.kernel.base import Misconfigured
from hubrepo.kernel.blobs import BlobMissing, open_store
from hubrepo.kernel.blobs.stores import StoreFull, StoreUnavailable, bucket, s3_files
from hubrepo.kernel.blobs.stores.breaker import AtRest, Breaker
from hubrepo.kernel.blobs.stores.s3_address import S3Address
from hubrepo.kernel.blobs.stores.s3_errors import translated
from hubrepo.kernel.blobs.stores.s3_files import ObjectFile
from tests.contracts.store import FUTURE, KEY, content_of, put, staged
from tests.support.process import free_port
from tests.support.s3 import KEY as ACCESS_KEY
from tests.support.s3 import SECRET, S3Server, Wire, requests_of

MIB = 1024**2


@pytest.fixture
def store(s3):
    return open_store(s3.url(f"{s3.new_bucket()}/hub"))


@pytest.fixture
def wire(s3):
    with Wire(s3.endpoint) as wire:
        yield wire


@pytest.fixture
def far(s3, wire):
    """A store behind the wire."""
    return open_store(S3Server(wire.endpoint).url(f"{s3.new_bucket()}/hub"))


@pytest.fixture
def clock(monkeypatch, far):
    """The time that the far store takes it to be; nothing passes of itself."""
    clock = SimpleNamespace(time=1000.0)
    clock.monotonic, clock.sleep = lambda: clock.time, lambda _seconds: None
    monkeypatch.setattr(bucket, "time", clock)
    monkeypatch.setattr(s3_files, "monotonic", clock.monotonic)
    far.filesystem.bucket._breaker = Breaker(1.0, clock.monotonic)
    return clock


@pytest.mark.long
class TestRequests:
    def test_a_blob_written_or_read_is_one_and_nothing_else_is_any(self, store):
        seen = requests_of(store.filesystem)
        stage = staged(store, b"0123456789" * 100_000)
        stage.sync()
        with stage.reader() as file:
            assert file.read(4) == b"0123"
        assert seen == {}
        sent = []
        store.filesystem.bucket.client.meta.events.register(
            "before-send.s3.PutObject", lambda request, **_: sent.append(request.headers)
        )
        store.promote(stage, KEY)
        assert seen == {"PutObject": 1}
        (headers,) = sent
        assert int(headers["Content-Length"]) == stage.size
        checksum = b64encode(bytes.fromhex(stage.digest))
        assert headers["x-amz-checksum-sha256"] == checksum
        for start, length in ((0, None), (0, 10), (999_990, 10), (5, 0)):
            seen.clear()
            with store.open(KEY, start, length) as file:
                file.seek(0, 2)
                file.seek(start)
                file.read(length)
            assert seen == {"GetObject": 1}
        seen.clear()
        store.stat(KEY)
        store.delete(KEY)
        assert seen == {"HeadObject": 1, "DeleteObject": 1}
        seen.clear()
        assert store.link(KEY, 60, {})
        assert seen == {}

    def test_what_is_larger_than_a_request_may_be_goes_in_parts(self, store):
        store.filesystem.bucket.put_limit, store.filesystem.bucket.part = 6 * MIB, 5 * MIB
        content = bytes(range(256)) * (11 * MIB // 256)
        seen = requests_of(store.filesystem)
        put(store, KEY, content)
        assert seen["UploadPart"] == 3
        assert content_of(store, KEY) == content
        assert store.sweep_stages(FUTURE) == 0

    def test_connections_are_kept_and_a_restart_of_s3_is_not_noticed(self, far, wire):
        put(far, KEY, b"content" * 1000)
        before = wire.connections
        for _ in range(5):
            assert content_of(far, KEY) == b"content" * 1000
            put(far, KEY, b"content" * 1000)
        assert wire.connections == before
        wire.hang_up()
        assert content_of(far, KEY) == b"content" * 1000
        wire.hang_up()
        put(far, KEY, b"content")
        assert wire.connections == before + 2

    def test_whoever_has_a_link_reads_the_bytes_with_these_headers_for_so_long(self, store):
        headers = {"Content-Type": "application/zip", "Cache-Control": "private, immutable"}
        headers["Content-Disposition"] = 'attachment; filename="widget-v1.zip"'
        put(store, KEY, b"content")
        link = store.link(KEY, 60, headers)
        assert "Expires=60" in link
        with urlopen(link) as answer:
            assert answer.read() == b"content"
            assert {name: answer.headers[name] for name in headers} == headers

    def test_uploads_are_aborted_only_below_the_prefix_and_probes_are_removed(self, s3):
        place = s3.new_bucket()
        ours, others = (open_store(s3.url(f"{place}/{prefix}")) for prefix in ("hub", "hub2"))
        assert s3.client.list_objects_v2(Bucket=place)["KeyCount"] == 0
        ours.filesystem.bucket.begin_upload(KEY)
        others.filesystem.bucket.begin_upload(KEY)
        put(others, ".stage/probe-0123456789abcdef", b"probe")
        assert list(others.list()) == []
        assert (ours.sweep_stages(FUTURE), others.sweep_stages(FUTURE)) == (1, 2)


def refused(url: str, line: str = "hubrepo.blobs") -> str:
    """Return why the start is refused: one sentence that names the line, and no credential."""
    with pytest.raises(Misconfigured) as caught:
        open_store(url, line)
    message = str(caught.value)
    assert message.startswith(line)
    assert SECRET not in message
    assert "\n" not in message
    return message


def test_credentials_in_the_url_are_refused_and_not_repeated():
    both = f"{ACCESS_KEY}:{SECRET}"
    places = (f"s3://{both}@bucket/prefix", f"s3://{both}/bucket", f"s3:/{both}@bucket")
    behind = (f"?secret_key={SECRET}", f"?endpoint=http://{both}@host:1", f"#{SECRET}")
    for url in (*places, *(f"s3://bucket{each}" for each in behind), f"s3:/bucket?{SECRET}"):
        assert ACCESS_KEY not in refused(url)


def test_a_wrong_url_is_told_by_what_is_wrong_with_it():
    assert "must be osfs" in refused("s3://")
    for reason, places in {
        "name of a bucket": ("/prefix", "Bucket_"),
        "prefix": ("bucket/a//b", "bucket/../b", "bucket/%00"),
        "endpoint": ("bucket?endpoint=127.0.0.1:9000", "bucket?endpoint=http://host/path"),
        "region": ("bucket?region=no where",),
        "addressing": ("bucket?addressing=both",),
        "timeout": ("bucket?timeout=soon", "bucket?timeout=60"),
        "endpoint, region, addressing, timeout": ("bucket?versioned=yes",),
    }.items():
        for place in places:
            assert reason in refused(f"s3://{place}", "hubrepo.pages")


def test_an_address_shows_nothing_but_its_place():
    address = S3Address.parse(
        "s3://bucket/a/b/?endpoint=http://host:1&region=eu&addressing=virtual&timeout=2.5"
    )
    assert str(address) == "s3://bucket/a/b"
    assert address == S3Address("bucket", "a/b", "http://host:1", "eu", "virtual", 2.5)


def test_credentials_that_s3_refuses_are_told_from_those_that_may_not():
    for code, sentence in (
        ("InvalidAccessKeyId", "S3 refuses the credentials (InvalidAccessKeyId)"),
        ("SignatureDoesNotMatch", "S3 refuses the credentials (SignatureDoesNotMatch)"),
        ("AccessDenied", "the credentials may not do that (AccessDenied)"),
    ):
        assert str(translated(KEY, ClientError({"Error": {"Code": code}}, "PutObject"))) == sentence


def test_boto_is_not_installed(monkeypatch):
    real = builtins.__import__

    def without_boto(name, *rest):
        if name.startswith("hubrepo.kernel.blobs.stores.s3_"):
            raise ModuleNotFoundError(name="boto3")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_boto)
    assert refused("s3://bucket") == "hubrepo.blobs needs a driver: pip install '.[s3]'"


@pytest.mark.long
def test_a_start_without_a_bucket_credentials_or_an_answer_is_refused(s3, wire, monkeypatch):
    expected = "hubrepo.blobs: s3://nowhere/hub cannot be written: the bucket does not exist"
    assert refused(s3.url("nowhere/hub")) == expected
    nobody = S3Server(f"http://127.0.0.1:{free_port()}")
    assert "S3 cannot be reached at its endpoint" in refused(nobody.url("bucket"))
    url = S3Server(wire.endpoint).url("bucket", timeout="1")
    wire.silent = True
    assert "S3 does not answer in time" in refused(url)
    wire.silent = False
    wire.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    assert "cannot be written" in refused(url)
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    assert "there are no credentials for S3: set AWS_ACCESS_KEY_ID" in refused(s3.url("bucket"))


@pytest.mark.long
class TestOutages:
    def test_a_silent_store_is_given_up_and_one_looks_whether_it_is_back(self, far, wire, clock):
        put(far, KEY, b"content")
        stage, place = staged(far, b"content"), far.filesystem.bucket
        patient, place.client = place.client, bucket.connect(replace(place.address, timeout=0.1))
        wire.silent = True
        with pytest.raises(StoreUnavailable) as caught:
            far.promote(stage, KEY)
        stage.discard()
        assert caught.value.headers == {"Retry-After": "1"}
        text = "".join(traceback.format_exception(caught.value))
        assert not any(each in text for each in (SECRET, ACCESS_KEY)), "as the hub logs it"
        seen = requests_of(far.filesystem)
        for _ in range(20):
            with pytest.raises(StoreUnavailable):
                far.open(KEY)
        assert seen == {}, "nobody waits meanwhile"
        wire.silent, place.client = False, patient
        wire.hang_up()
        clock.time += 1.1
        far.ping()
        assert content_of(far, KEY) == b"content"

    def test_a_body_that_stops_coming_is_given_up(self, far, wire, clock, monkeypatch):
        """And nobody else waits for the same."""
        put(far, KEY, b"content" * 1_000_000)
        seen = requests_of(far.filesystem)
        with far.open(KEY) as file:
            assert file.read(7) == b"content"
            monkeypatch.setattr(file, "_deadline", lambda _wanted: clock.time + 0.1)
            wire.silent = True
            for ask in (file.read, partial(far.open, KEY)):
                with pytest.raises(StoreUnavailable):
                    ask()
        assert seen == {"GetObject": 1}

    def test_bytes_that_come_or_go_drop_by_drop_are_given_up(self, far, clock, monkeypatch):
        put(far, KEY, b"content" * 100)
        real = ObjectFile._read_some

        def drip(file, _most, seconds):
            clock.time += 0.3
            return real(file, 1, seconds)

        monkeypatch.setattr(ObjectFile, "_read_some", drip)
        with far.open(KEY) as file, pytest.raises(StoreUnavailable):
            file.read()
        assert clock.time < 1005, "and nobody waits for longer than five seconds"
        stage, send = staged(far, bytes(2 * MIB)), http.client.HTTPConnection.send

        def drip_there(connection, data):
            clock.time += 1
            send(connection, data)

        monkeypatch.setattr(http.client.HTTPConnection, "send", drip_there)
        clock.time = 0
        with pytest.raises(StoreUnavailable):
            far.promote(stage, KEY)
        stage.discard()
        assert clock.time < 15, "eight of them for its size"

    def test_a_connection_that_ends_with_the_last_byte_is_no_outage(self, far, wire):
        wire.answer = (
            b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n"
            b'ETag: "tag"\r\nLast-Modified: Mon, 30 Nov 2026 12:00:00 GMT\r\n\r\ncontent'
        )
        with far.open(KEY) as file:
            assert file.read() == b"content"

    def test_a_body_that_breaks_off_is_never_taken_for_whole(self, far, wire):
        put(far, KEY, b"content" * 100_000)
        wire.cut_after = 300_000
        for size in (-1, 10_000):
            with far.open(KEY, 0, 600_000) as file, pytest.raises(StoreUnavailable):
                list(iter(partial(file.read, size), b""))
        wire.cut_after = None
        assert content_of(far, KEY) == b"content" * 100_000

    @pytest.mark.parametrize("sent", [0, 20_000])
    def test_an_upload_that_breaks_off_left_nothing_or_the_whole(self, far, wire, sent):
        content = b"content" * 100_000
        stage = staged(far, content)

        class Broken(io.BytesIO):
            def read(self, _size=-1):
                if self.tell() >= sent:
                    wire.hang_up()
                return super().read(10_000)

        def break_off(request, **_):
            request.body = Broken(content)

        events = far.filesystem.bucket.client.meta.events
        events.register("before-send.s3.PutObject", break_off)
        with pytest.raises(StoreUnavailable):
            far.promote(stage, KEY)
        events.unregister("before-send.s3.PutObject", break_off)
        with pytest.raises(BlobMissing):
            far.stat(KEY)
        far.promote(stage, KEY)
        assert content_of(far, KEY) == content

    def test_refusals_are_told_apart_and_tried_again_where_it_may_help(self, store, monkeypatch):
        monkeypatch.setattr(bucket, "_AT_ONCE", 1000)
        monkeypatch.setattr(bucket, "_PAUSE", 0)
        seen: Counter[str] = Counter()
        answer = []

        def refuse(model, **_):
            seen[model.name] += 1
            status, code = answer
            told = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": int(status)}}
            raise ClientError(told, model.name)

        store.filesystem.bucket.client.meta.events.register("before-call.s3", refuse)
        stage = staged(store, b"content")
        asks = (
            lambda: store.promote(stage, KEY),
            lambda: store.open(KEY),
            lambda: store.delete(KEY),
        )
        for answers, error, times in (
            ("503 SlowDown, 500 InternalError", StoreUnavailable, 2),
            ("403 AccessDenied, 404 NoSuchBucket, 400 Strange{code}", StoreUnavailable, 1),
            ("507 InsufficientStorage, 403 QuotaExceeded", StoreFull, 1),
            ("503 InsufficientCapacity, 400 EntityTooLarge", StoreFull, 1),
        ):
            for each in answers.split(", "):
                answer = each.split()
                seen.clear()
                for ask in asks:
                    with pytest.raises(error):
                        ask()
                assert seen == {"PutObject": times, "GetObject": times, "DeleteObject": times}, each
        stage.discard()

    def test_a_bucket_that_is_gone_is_not_a_blob_that_is_missing(self, s3, store):
        s3.client.delete_bucket(Bucket=store.filesystem.bucket.address.bucket)
        looks = (store.open, store.stat, store.delete, lambda key: list(store.list(key)))
        for look in (*looks, lambda _: store.ping()):
            with pytest.raises(StoreUnavailable):
                look(KEY)


def test_the_breaker_opens_for_silence_and_after_a_rest_lets_one_try():
    time = 0.0
    breaker = Breaker(1.0, lambda: time)

    def call(error=None):
        try:
            with breaker.call(lambda error: isinstance(error, TimeoutError)):
                if error is not None:
                    raise error
        except Exception as caught:  # noqa: BLE001 - returned
            return type(caught)

    assert [call(each) for each in (KeyError(), None)] == [KeyError, None]
    assert [call(each) for each in (TimeoutError(), None)] == [TimeoutError, AtRest]
    time = 1.1
    with breaker.call(bool):
        assert call() is AtRest, "while one tries others still fail"
    assert call() is None
    assert call(TimeoutError()) is TimeoutError
    table = [(2.0, None, AtRest), (2.2, TimeoutError(), TimeoutError), (3.1, None, AtRest)]
    for moment, error, expected in (*table, (3.3, KeyError(), KeyError), (3.3, None, None)):
        time = moment
        assert call(error) is expected
