"""How large an artifact may be."""

import sys
from dataclasses import dataclass

from hubrepo.kernel.base import setting


@dataclass(frozen=True)
class ArtifactSettings:
    """What one upload may bring."""

    max_upload_bytes: int = setting(
        256 * 1024**2,
        minimum=0,
        help="Bytes of one uploaded artifact; 0: no limit but `max_request_body_size` of the server. An "
        "organisation's own limit goes before.",
    )

    @property
    def limit(self) -> int:
        """As a number of bytes in any case."""
        return self.max_upload_bytes or sys.maxsize
