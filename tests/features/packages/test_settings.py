"""Limits of a hub's own."""

import pytest

from tests.support.hub import Hub


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory):
    limits = {
        "packages__max_summary": "20",
        "packages__max_description": "30",
        "uploads__max_size": "1000",
    }
    hub = Hub.below(tmp_path_factory.mktemp("limits"), **limits)
    client = hub.organisation()
    client.publish("widget")
    yield client
    hub.registry.database.close()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"summary": "x" * 21},
            "'summary' must not exceed 20 characters (hubrepo.packages.max_summary)",
        ),
        (
            {"description": "x" * 31},
            "'description' must not exceed 30 characters (hubrepo.packages.max_description)",
        ),
    ],
)
def test_going_over_a_limit_names_it(client, fields, text):
    assert client.publish("widget", status=400, **fields) == {"detail": text}
    client.publish("widget", **{name: value[:-1] for name, value in fields.items()})


def test_the_limit_of_a_reason_is_that_of_a_summary(client):
    answer = client.send_json(
        "DELETE", "/api/packages/widget/versions/1", {"reason": "x" * 21}, 400
    )
    assert "hubrepo.packages.max_summary" in answer.json["detail"]


def test_a_size_that_is_no_whole_mebibyte_is_told_in_bytes(client):
    answer = client.publish("widget", archive=bytes(1001), status=400)
    assert answer == {"detail": "File size must not exceed 1000 bytes."}
