"""A disk that fails while an upload that lies on it is read."""

from pathlib import Path

import pytest

from tests.support.archives import package_zip
from tests.support.faults import Mode, faults_below
from tests.support.hub import Client, Hub


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Hub.below(tmp_path, blobs=f"osfs://{tmp_path}/blobs").organisation()


def test_an_upload_that_cannot_be_read_again_is_to_be_tried_later(
    client: Client, tmp_path: Path
) -> None:
    files = [("file", "widget.zip", package_zip("widget"))]
    content_type, body = client.app.encode_multipart([], files)
    path = "/api/packages/widget/versions"
    with faults_below(tmp_path / "blobs") as faults:
        with faults.watching():
            client.call("POST", path, body, content_type=content_type, status=201)
        at = faults.steps.index("read") + 1
        with faults.watching(at, Mode.FAILS):
            answer = client.call("POST", path, body, content_type=content_type, status=503)
    assert answer.json == {"detail": "the store of files is not available, try again"}
    assert answer.headers["Retry-After"] == "1"
    assert client.publish("widget")["version"] == 2
