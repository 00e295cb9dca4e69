"""What every surface stands on. The kernel knows no feature."""

from typing import Any

# Bottom to top.
PARTS = ("web", "db", "accounts", "archives", "blobs", "idempotency", "security", "openapi")


def includeme(config: Any) -> None:
    """Include every part."""
    for part in PARTS:
        config.include(f"hubrepo.kernel.{part}")
