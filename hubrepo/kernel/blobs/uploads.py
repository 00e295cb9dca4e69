"""Uploaded files, on their way from a form to a stage."""

from typing import Any

from hubrepo.kernel.accounts import OrganisationRef
from hubrepo.kernel.base import Invalid
from hubrepo.kernel.blobs.stores import Stage
from hubrepo.kernel.web import read_form


def read_upload(request: Any, organisation: OrganisationRef) -> tuple[Stage, dict[str, str]]:
    """The uploaded `file` of a form, staged, and the form's text fields. Raises Invalid, FileTooLarge.

    Once the request is over the staged bytes are a blob, or nobody's.
    """
    own, registry = organisation.max_upload_size, request.registry
    limit = own if own is not None else registry.upload_settings.max_size
    form = read_form(request, "file", registry.store.stage, limit)
    request.add_finished_callback(lambda _: form.discard())
    if form.file is None:
        raise Invalid("no file provided")
    return form.file, form.fields
