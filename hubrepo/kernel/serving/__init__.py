"""Bytes → HTTP, for every surface alike."""

from hubrepo.kernel.serving.responses import Representation, disposition, respond

__all__ = ["Representation", "disposition", "respond"]
