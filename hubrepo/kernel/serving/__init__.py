"""Bytes → HTTP, for every surface alike."""

from hubrepo.kernel.serving.content_types import content_type_of, is_text
from hubrepo.kernel.serving.extents import Extent, respond_extent
from hubrepo.kernel.serving.responses import (
    Representation,
    disposition,
    lenient_disposition,
    redirect,
    respond,
)

__all__ = [
    "Extent",
    "Representation",
    "content_type_of",
    "disposition",
    "is_text",
    "lenient_disposition",
    "redirect",
    "respond",
    "respond_extent",
]
