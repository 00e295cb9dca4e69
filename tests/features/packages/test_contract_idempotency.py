"""`Idempotency-Key`: a retry gets the first answer, and nothing is done twice: D12."""

from datetime import timedelta

import pytest

from hubrepo.kernel.base import now
from tests.support.archives import package_zip
from tests.support.contract import file_part, multipart, text_part
from tests.support.hub import Client, Hub
from tests.support.races import at_once

PATH = "/api/packages/widget/versions"
GADGET = "/api/packages/gadget/versions"
KEY = {"Idempotency-Key": "7d444840-9dc0-11d1-b245-5ffdce74fad2"}


def publish(client, data, key="k", boundary="frontier", path=PATH, **fields):
    parts = [file_part(data), *(text_part(*each) for each in fields.items())]
    kind = f"multipart/form-data; boundary={boundary}"
    body = multipart(parts, boundary)
    return client.call("POST", path, body, content_type=kind, headers={"Idempotency-Key": key})


class TestPublish:
    @pytest.mark.backend
    def test_a_retry_gets_the_first_answer_and_is_told_and_counted_once(self, acme):
        data = package_zip("widget")
        first, second = (publish(acme, data, summary="s", parent_version="0") for _ in range(2))
        assert (first.status_int, second.status_int) == (201, 201)
        assert first.body == second.body
        assert first.headers["Content-Type"] == second.headers["Content-Type"]
        assert len(acme.get(PATH).json) == 1
        assert acme.get("/api/organisation").json["stored_bytes"] == first.json["size"]
        done = [each for each in acme.events() if each.action == "packages:publish"]
        assert len(done) == 1

    def test_so_it_does_after_other_things_have_happened(self, acme):
        data = package_zip("widget")
        first = publish(acme, data)
        acme.publish("widget")
        acme.delete(f"{PATH}/1", 200)
        assert publish(acme, data).body == first.body
        assert len(acme.get(PATH).json) == 2

    def test_a_retry_may_draw_another_boundary_and_another_slash(self, acme):
        data = package_zip("widget")
        first = publish(acme, data, boundary="one")
        second = publish(acme, data, boundary="another", path=PATH + "/")
        assert first.body == second.body

    def test_another_request_with_the_same_key_is_422(self, acme):
        publish(acme, package_zip("widget"), key=KEY["Idempotency-Key"])
        for data, path, fields in (
            (package_zip("widget", "bob"), PATH, {}),
            (package_zip("widget"), PATH, {"summary": "other"}),
            (package_zip("widget"), PATH, {"parent_version": "1"}),
            (package_zip("gadget"), GADGET, {}),
        ):
            response = publish(acme, data, key=KEY["Idempotency-Key"], path=path, **fields)
            assert response.status_int == 422
            assert list(response.json) == ["detail"]
        acme.send_json("POST", "/api/packages", {"name": "p2"}, 422, headers=KEY)
        assert len(acme.get(PATH).json) == 1
        assert [each["name"] for each in acme.get("/api/packages").json] == ["widget"]

    def test_another_key_or_none_publishes_again(self, acme):
        data = package_zip("widget")
        assert [publish(acme, data, key=key).json["version"] for key in ("a", "b")] == [1, 2]
        assert [acme.publish("widget", data)["version"] for _ in range(2)] == [3, 4]

    @pytest.mark.backend
    def test_a_key_is_its_organisation_s(self, acme, beta):
        data = package_zip("widget")
        for client in (acme, beta):
            assert publish(client, data).json["version"] == 1
            assert len(client.get(PATH).json) == 1

    @pytest.mark.backend
    def test_a_refused_request_may_be_tried_again(self, acme):
        data = package_zip("widget")
        assert publish(acme, data, parent_version="1").status_int == 409
        acme.publish("widget")
        assert publish(acme, data, parent_version="1").json["version"] == 2

    @pytest.mark.backend
    def test_retries_at_the_same_time_publish_once(self, acme):
        data = package_zip("widget")
        clients = [Client(acme.hub, acme.slug, acme.key) for _ in range(4)]
        found = at_once(*(lambda c=c: publish(c, data) for c in clients))
        assert {(each.status_int, each.body) for each in found} == {(201, found[0].body)}
        assert len(acme.get(PATH).json) == 1

    @pytest.mark.backend
    def test_what_is_no_key_is_400_and_publishes_nothing(self, acme):
        for key in ("", "a b", "x" * 256, "x" * 5000, "\xe9"):
            assert publish(acme, package_zip("widget"), key=key).status_int == 400
        assert acme.get("/api/packages").json == []
        for number, key in enumerate(("x" * 255, '"', "a,b"), 1):
            assert publish(acme, package_zip("widget"), key=key).json["version"] == number


class TestRegister:
    def register(self, client, name, status):
        return client.send_json("POST", "/api/packages", {"name": name}, status, headers=KEY)

    @pytest.mark.backend
    def test_a_retry_gets_the_first_answer_again(self, acme):
        first, second = (self.register(acme, "p1", 201) for _ in range(2))
        assert first.body == second.body
        self.register(acme, "p2", 422)
        assert [each["name"] for each in acme.get("/api/packages").json] == ["p1"]

    def test_a_conflict_is_not_kept(self, acme):
        acme.send_json("POST", "/api/packages", {"name": "p1"}, 201)
        for _ in range(2):
            self.register(acme, "p1", 409)
        self.register(acme, "p2", 201)


@pytest.mark.backend
def test_an_answer_is_known_for_so_many_hours(tmp_path):
    hub = Hub.below(tmp_path, idempotency__keep_hours="2")
    acme, start, data = hub.organisation(), now(), package_zip("widget")
    for minutes, version, replayed in ((0, 1, False), (119, 1, True), (121, 2, False)):
        hub.registry.clock = lambda minutes=minutes: start + timedelta(minutes=minutes)
        answer = publish(acme, data)
        assert answer.json["version"] == version
        assert ("Idempotent-Replayed" in answer.headers) == replayed
    hub.registry.database.close()
