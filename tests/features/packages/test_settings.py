"""Limits of a hub's own."""

from tests.support.hub import Hub


def test_going_over_a_limit_names_it(tmp_path):
    hub = Hub.below(
        tmp_path,
        packages__max_summary="20",
        packages__max_description="30",
        uploads__max_size="1000",
    )
    client = hub.organisation()
    for name, limit in (("summary", 20), ("description", 30)):
        text = f"'{name}' must not exceed {limit} characters (hubrepo.packages.max_{name})"
        assert client.publish("widget", status=400, **{name: "x" * (limit + 1)}) == {"detail": text}
        client.publish("widget", **{name: "x" * limit})
    path = "/api/packages/widget/versions/1"
    refused = client.send_json("DELETE", path, {"reason": "x" * 21}, 400)
    assert "hubrepo.packages.max_summary" in refused.json["detail"]
    # A size that is no whole mebibyte is told in bytes.
    answer = client.publish("widget", archive=bytes(1001), status=400)
    assert answer == {"detail": "File size must not exceed 1000 bytes."}
    hub.registry.database.close()
