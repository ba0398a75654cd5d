"""Keys, for administrators; and the session of a browser, for everybody who has a key."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query, Response

from mien.errors import Unauthorized
from mien.server.deps import Admin, ServiceDep, VisitDep
from mien.server.errors import problems
from mien.server.moments import moment
from mien.server.schemas import Key, KeyCreated, KeyRequest, Session, SessionRequest
from mien.server.visit import SESSION_COOKIE, Visit, key_of, session_of
from mien.service import keys
from mien.service.callers import SCOPES, Caller
from mien.service.service import Service

router = APIRouter(tags=["keys"])


@router.get("/keys", response_model=list[Key], responses=problems(401, 403))
def list_keys(service: ServiceDep, caller: Admin) -> list[Key]:
    """All keys, without their secrets, the newest first."""
    return [_key(key) for key in service.keys.all()]


@router.post("/keys", status_code=201, response_model=KeyCreated, responses=problems(401, 403, 409, 422, 429))
def create_key(body: KeyRequest, service: ServiceDep, caller: Admin) -> KeyCreated:
    """Make a key. Its secret is shown this once, so an Idempotency-Key has no effect here: nothing keeps the answer."""
    made = service.keys.create(body.name, body.scopes, limits=body.limits, expires_in=body.expires_in)
    return _created(made)


@router.post("/keys/{id}/rotate", response_model=KeyCreated, responses=problems(401, 403, 404))
def rotate_key(
    id: str,
    service: ServiceDep,
    caller: Admin,
    grace: Annotated[
        float, Query(ge=0, le=30 * 86400, description="Seconds for which the old key still works.")
    ] = keys.GRACE,
) -> KeyCreated:
    """Make a new key for the same owner with the same rights."""
    return _created(service.keys.rotate(id, grace))


@router.delete("/keys/{id}", status_code=204, responses=problems(401, 403, 404))
def revoke_key(id: str, service: ServiceDep, caller: Admin) -> Response:
    """End a key now. What its owner has made stays."""
    service.keys.revoke(id)
    return Response(status_code=204)


@router.get("/session", response_model=Session)
def show_session(service: ServiceDep, visit: VisitDep) -> Session:
    """Who is calling, and whether a key is needed."""
    required = service.access.required()
    try:
        caller, until = _who(service, visit)
    except Unauthorized:
        return Session(authenticated=False, auth_required=required)
    return _session(caller, until, required)


@router.post("/session", response_model=Session, responses=problems(401, 422, 429))
def begin_session(body: SessionRequest, service: ServiceDep, visit: VisitDep, response: Response) -> Session:
    """Exchange a key for a cookie, so that a browser need not keep the key."""
    service.access.by_key(body.key, visit.address)
    begun = service.sessions.begin(body.key)
    response.set_cookie(
        SESSION_COOKIE,
        begun.token,
        max_age=int(begun.expires_at - time.time()),
        httponly=True,
        samesite="strict",
        secure=_is_secure(service, visit),
    )
    return _session(begun.caller, begun.expires_at, service.access.required())


@router.delete("/session", status_code=204)
def end_session(service: ServiceDep, visit: VisitDep) -> Response:
    """End the session of the cookie."""
    token = session_of(visit)
    if token is not None:
        service.sessions.end(token)
    answer = Response(status_code=204)
    answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict", secure=_is_secure(service, visit))
    return answer


def _who(service: Service, visit: Visit) -> tuple[Caller, float | None]:
    key, token = key_of(visit), session_of(visit)
    if key is None and token is not None:
        found = service.sessions.find(token)
        if found is not None:
            return found
    return service.access.caller(key, None, visit.address), None


def _is_secure(service: Service, visit: Visit) -> bool:
    return visit.secure or (service.settings.public_url or "").startswith("https:")


def _session(caller: Caller, until: float | None, required: bool) -> Session:
    scopes = [scope for scope in SCOPES if caller.may(scope)]
    return Session(
        authenticated=True,
        auth_required=required,
        owner=caller.owner,
        scopes=scopes,
        expires_at=moment(until),
    )


def _key(key: keys.Key) -> Key:
    return Key.model_validate(_values(key))


def _created(made: keys.NewKey) -> KeyCreated:
    return KeyCreated.model_validate({**_values(made.key), "key": made.token})


def _values(key: keys.Key) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": list(key.scopes),
        "limits": dict(key.limits),
        "owner": key.owner,
        "created_at": moment(key.created_at),
        "expires_at": moment(key.expires_at),
        "revoked_at": moment(key.revoked_at),
        "used_at": moment(key.used_at),
    }
