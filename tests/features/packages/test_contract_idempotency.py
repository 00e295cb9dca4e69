"""`Idempotency-Key`: a retry gets the first answer, and nothing is done twice: D12."""

import threading

import pytest

from tests.support.archives import package_zip
from tests.support.contract import file_part, multipart, text_part
from tests.support.hub import Client

PATH = "/api/packages/widget/versions"
KEY = {"Idempotency-Key": "7d444840-9dc0-11d1-b245-5ffdce74fad2"}


def publish(client, data, key="k", boundary="frontier", path=PATH, **fields):
    parts = [file_part(data), *(text_part(*each) for each in fields.items())]
    return client.call(
        "POST",
        path,
        multipart(parts, boundary),
        content_type=f"multipart/form-data; boundary={boundary}",
        headers={"Idempotency-Key": key},
    )


class TestPublish:
    def test_a_retry_gets_the_first_answer_again(self, acme):
        data = package_zip("widget")
        first, second = (publish(acme, data, summary="s") for _ in range(2))
        assert (first.status_int, second.status_int) == (201, 201)
        assert first.body == second.body
        assert first.headers["Content-Type"] == second.headers["Content-Type"]
        assert len(acme.get(PATH).json) == 1

    def test_so_it_does_after_other_things_have_happened(self, acme):
        data = package_zip("widget")
        first = publish(acme, data)
        acme.publish("widget")
        acme.delete(f"{PATH}/1", 200)
        assert publish(acme, data).body == first.body
        assert len(acme.get(PATH).json) == 2

    def test_a_retry_may_draw_another_boundary_and_another_file_name(self, acme):
        data = package_zip("widget")
        first = publish(acme, data, boundary="one")
        second = publish(acme, data, boundary="another", path=PATH + "/")
        assert first.body == second.body

    def test_a_retry_of_the_expected_head_is_no_conflict(self, acme):
        data = package_zip("widget")
        first, second = (publish(acme, data, parent_version="0") for _ in range(2))
        assert (second.status_int, second.body) == (201, first.body)

    @pytest.mark.parametrize(
        ("data", "fields"),
        [
            (package_zip("widget", "bob"), {}),
            (package_zip("widget"), {"summary": "other"}),
            (package_zip("widget"), {"parent_version": "1"}),
        ],
    )
    def test_another_request_with_the_same_key_is_422(self, acme, data, fields):
        publish(acme, package_zip("widget"))
        response = publish(acme, data, **fields)
        assert response.status_int == 422
        assert list(response.json) == ["detail"]
        assert len(acme.get(PATH).json) == 1

    def test_so_is_another_package(self, acme):
        publish(acme, package_zip("widget"))
        response = publish(acme, package_zip("gadget"), path="/api/packages/gadget/versions")
        assert response.status_int == 422
        acme.get("/api/packages/gadget", 404)

    def test_another_key_publishes_again(self, acme):
        data = package_zip("widget")
        found = [publish(acme, data, key=key).json["version"] for key in ("a", "b", "c")]
        assert found == [1, 2, 3]

    def test_without_a_key_every_publish_counts(self, acme):
        assert [acme.publish("widget")["version"] for _ in range(3)] == [1, 2, 3]

    def test_a_key_is_its_organisation_s(self, acme, beta):
        data = package_zip("widget")
        for client in (acme, beta):
            assert publish(client, data).json["version"] == 1
            assert len(client.get(PATH).json) == 1

    def test_a_refused_request_may_be_tried_again(self, acme):
        data = package_zip("widget")
        assert publish(acme, data, parent_version="1").status_int == 409
        acme.publish("widget")
        assert publish(acme, data, parent_version="1").json["version"] == 2

    def test_a_retry_is_told_once_in_the_log(self, acme):
        data = package_zip("widget")
        for _ in range(3):
            publish(acme, data)
        done = [each for each in acme.events() if each.action == "packages:publish"]
        assert len(done) == 1

    def test_a_retry_is_counted_once(self, acme):
        data = package_zip("widget")
        size = publish(acme, data).json["size"]
        publish(acme, data)
        assert acme.get("/api/organisation").json["stored_bytes"] == size

    def test_retries_at_the_same_time_publish_once(self, acme):
        data, found = package_zip("widget"), []

        def retry():
            found.append(publish(Client(acme.hub, acme.slug, acme.key), data))

        threads = [threading.Thread(target=retry) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert {(each.status_int, each.body) for each in found} == {(201, found[0].body)}
        assert len(acme.get(PATH).json) == 1

    @pytest.mark.parametrize("key", ["", " ", "x" * 5000, "a b", "\xe9", '"', "a,b"])
    def test_an_odd_key_never_breaks_the_hub(self, acme, key):
        assert publish(acme, package_zip("widget"), key=key).status_int in {201, 400}


class TestRegister:
    def test_a_retry_gets_the_first_answer_again(self, acme):
        first, second = (
            acme.send_json("POST", "/api/packages", {"name": "p1"}, 201, headers=KEY)
            for _ in range(2)
        )
        assert first.body == second.body

    def test_another_name_with_the_same_key_is_422(self, acme):
        acme.send_json("POST", "/api/packages", {"name": "p1"}, 201, headers=KEY)
        acme.send_json("POST", "/api/packages", {"name": "p2"}, 422, headers=KEY)
        assert [each["name"] for each in acme.get("/api/packages").json] == ["p1"]

    def test_a_key_of_a_publish_is_no_key_of_a_registration(self, acme):
        publish(acme, package_zip("widget"), key=KEY["Idempotency-Key"])
        acme.send_json("POST", "/api/packages", {"name": "p2"}, 422, headers=KEY)

    def test_a_conflict_is_not_kept(self, acme):
        acme.send_json("POST", "/api/packages", {"name": "p1"}, 201)
        for _ in range(2):
            acme.send_json("POST", "/api/packages", {"name": "p1"}, 409, headers=KEY)
        acme.send_json("POST", "/api/packages", {"name": "p2"}, 201, headers=KEY)
