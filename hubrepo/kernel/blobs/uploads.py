"""Uploaded files, on their way from a form to a stage."""

from collections.abc import Collection
from typing import Any, NamedTuple

from hubrepo.kernel.accounts import OrganisationRef
from hubrepo.kernel.base import Invalid
from hubrepo.kernel.blobs.models import MAIN
from hubrepo.kernel.blobs.stores import Stage
from hubrepo.kernel.web import read_form


class Upload(NamedTuple):
    """An uploaded file, the text fields that came with it, and what its sender calls it.

    `skipped` are the names of further files, of which nothing is kept.
    """

    stage: Stage
    fields: dict[str, str]
    filename: str
    skipped: Collection[str]


def read_upload(
    request: Any, organisation: OrganisationRef, kept_in: str = MAIN, limit: int | None = None
) -> Upload:
    """The uploaded `file` of a form, staged for the store named `kept_in`, and what came with it.

    `limit` counts where the organisation has none of its own; None: the hub's. Once the request is over
    the staged bytes are a blob, or nobody's. Raises Invalid, FileTooLarge.
    """
    own, registry = organisation.max_upload_size, request.registry
    if own is not None:
        limit = own
    elif limit is None:
        limit = registry.upload_settings.max_size
    form = read_form(request, "file", registry.stores[kept_in].stage, limit)
    request.add_finished_callback(lambda _: form.discard())
    if form.file is None:
        raise Invalid("no file provided")
    return Upload(form.file, form.fields, form.filename, form.skipped)
