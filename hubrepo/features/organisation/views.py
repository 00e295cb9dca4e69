"""HTTP: parse, call, present."""

from typing import Any

from pyramid.response import Response
from pyramid.view import view_config

from hubrepo.features.organisation import presenters
from hubrepo.features.organisation.errors import MoreThanItself
from hubrepo.features.organisation.permissions import KEYS, LOG, MEMBERS, READ
from hubrepo.features.organisation.resources import (
    KeyResource,
    KeysResource,
    LogResource,
    MemberResource,
    MembersResource,
    SelfResource,
)
from hubrepo.features.organisation.schemas import key_wish, overlap_wish
from hubrepo.kernel.accounts import SCOPES, NewKey, NoSuchUser, NotAMember
from hubrepo.kernel.audit import event_json, events_of
from hubrepo.kernel.base import iso_micros
from hubrepo.kernel.security import check_kinds
from hubrepo.kernel.web import link_next, page_of, read_fields


@view_config(context=SelfResource, request_method="GET", permission=READ, renderer="json")
def show_organisation(context: SelfResource, request: Any) -> dict[str, object]:
    """The organisation of the credential."""
    return presenters.organisation_json(context.row)


@view_config(context=KeysResource, request_method="GET", permission=KEYS, renderer="json")
def list_keys(context: KeysResource, request: Any) -> list[object]:
    """All keys, oldest first, revoked ones included."""
    return [presenters.key_json(key) for key in context.service.keys(context.row)]


@view_config(context=KeysResource, request_method="POST", permission=KEYS, renderer="json")
def issue_key(context: KeysResource, request: Any) -> dict[str, object]:
    """A new key: the only time that it is shown."""
    wish = key_wish(read_fields(request))
    mine = request.caller.roles
    scopes = wish.scopes or (() if set(mine) == set(SCOPES) else mine)
    if set(mine) != set(SCOPES) and not set(scopes) <= set(mine):
        raise MoreThanItself
    check_kinds(request.registry, wish.only)
    try:
        new = context.service.issue_key(
            context.row,
            label=wish.label,
            username=wish.username,
            scopes=scopes,
            only=wish.only,
            expires_at=wish.expires_at,
        )
    except (NoSuchUser, NotAMember):
        # One answer for both: that a user exists elsewhere is nobody's business here.
        raise NoSuchUser(wish.username or "") from None
    return _shown_once(request, new, wish.label)


@view_config(
    context=KeyResource, name="rotate", request_method="POST", permission=KEYS, renderer="json"
)
def rotate_key(context: KeyResource, request: Any) -> dict[str, object]:
    """A new key that may do what this one may, which ends after a while: shown now and never again."""
    overlap = overlap_wish(read_fields(request))
    key = context.service.key(context.__name__, context.row)
    if not set(key.scopes.split() or SCOPES) <= set(request.caller.roles):
        raise MoreThanItself
    new, ending = context.service.rotate_key(key, overlap)
    old = {"old_prefix": key.hint, "old_expires_at": iso_micros(ending)}
    return _shown_once(request, new, key.label) | old


def _shown_once(request: Any, new: NewKey, label: str) -> dict[str, object]:
    request.response.status = 201
    request.response.headers["Cache-Control"] = "no-store"
    return {"key": new.plain, "prefix": f"kpf_{new.prefix}", "label": label}


@view_config(context=KeyResource, request_method="DELETE", permission=KEYS)
def revoke_key(context: KeyResource, request: Any) -> Response:
    """Make a key useless, at once."""
    context.service.revoke_key(context.__name__, context.row)
    return Response(status=204)


@view_config(context=MembersResource, request_method="GET", permission=MEMBERS, renderer="json")
def list_members(context: MembersResource, request: Any) -> list[object]:
    """All members, by name."""
    return [presenters.member_json(each) for each in context.service.members(context.row)]


@view_config(context=MemberResource, request_method="DELETE", permission=MEMBERS)
def remove_member(context: MemberResource, request: Any) -> Response:
    """End a membership; the member's keys stop at once."""
    context.service.remove_member(context.row, context.__name__)
    return Response(status=204)


@view_config(context=LogResource, request_method="GET", permission=LOG, renderer="json")
def show_log(context: LogResource, request: Any) -> list[object]:
    """Who did what, newest first: always a page."""
    page = page_of(request, default_limit=100)
    events, more = page.cut(
        events_of(request.db, context.organisation.id, before=page.after_guid(), limit=page.fetch)
    )
    if more:
        link_next(request, page, events[-1].guid)
    return [event_json(event) for event in events]
