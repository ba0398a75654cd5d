"""What routes ask for.

``ServiceDep``
    the service.
``CallerDep``, ``Reader``, ``Submitter``, ``Worker``, ``Uploader``, ``Admin``
    who calls; all but the first refuse keys without that scope (for uploads submit or work) with 403. Who has no key,
    or too many requests, was refused before the route.
``VisitDep``
    request id, address and headers of the request.
``once(request, caller, body)``
    for routes that make something, so that a client may send the same request twice::

        @router.post("/things", status_code=201, response_model=Thing, responses=problems(401, 403, 409, 422, 429))
        def create_thing(body: ThingRequest, request: Request, service: ServiceDep, caller: Submitter) -> Response:
            with once(request, caller, body) as slot:
                if slot.replayed is not None:
                    return slot.replayed
                thing = service.things.create(f"thing_{slot.seed}", body)
                return slot.answer(thing, 201, {"Location": f"/api/v1/things/{thing.id}"})

    ``body`` is a model, or anything that JSON can say; for multipart requests a list of their fields with the SHA-256
    of their files, because the bytes between parts differ from try to try. What is made is named after ``slot.seed``,
    which is the same for every try: a JobExists (or the like) for that name means that an earlier try made it, whose
    answer was lost. Without the header Idempotency-Key every request is done, with a new seed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import Depends
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.requests import HTTPConnection, Request

from mien.errors import MienError, Unauthorized
from mien.server.visit import Visit, visit_of
from mien.service.callers import Caller, Scope
from mien.service.idempotency import Answer, Slot, fingerprint, new_seed
from mien.service.service import Service


def service_of(connection: HTTPConnection) -> Service:
    """The service of the app that handles a request or a websocket."""
    service: Service = connection.app.state.service
    return service


async def visit_of_request(connection: HTTPConnection) -> Visit:
    """What is known of the request."""
    return visit_of(connection.scope)


async def caller_of(connection: HTTPConnection) -> Caller:
    """Who calls. Raises Unauthorized where nobody has looked at the key."""
    caller = visit_of(connection.scope).caller
    if caller is None:
        raise Unauthorized("A key is needed: send it as Authorization: Bearer mien_….")
    return caller


def require(scope: Scope, *others: Scope) -> Callable[[HTTPConnection], Awaitable[Caller]]:
    """A dependency: who calls, refused with Forbidden without any of the scopes."""

    async def allowed(connection: HTTPConnection) -> Caller:
        caller = await caller_of(connection)
        if not any(caller.may(other) for other in others):
            caller.check(scope)
        return caller

    return allowed


async def _service(connection: HTTPConnection) -> Service:
    return service_of(connection)


# Functions that wait for nothing are coroutines all the same: others are run in threads, each a switch there and back.
ServiceDep = Annotated[Service, Depends(_service)]
VisitDep = Annotated[Visit, Depends(visit_of_request)]
CallerDep = Annotated[Caller, Depends(caller_of)]
Reader = Annotated[Caller, Depends(require("read"))]
Submitter = Annotated[Caller, Depends(require("submit"))]
Worker = Annotated[Caller, Depends(require("work"))]
Uploader = Annotated[Caller, Depends(require("submit", "work"))]
Admin = Annotated[Caller, Depends(require("admin"))]


class Once:
    """A request that is done once; see ``once``."""

    def __init__(self, slot: Slot, *, keeps: bool = True) -> None:
        self._keeps = keeps
        self.seed = slot.seed
        self.replayed = _replay(slot.answer) if slot.answer is not None else None
        self.kept: Answer | None = None

    def answer(
        self, content: BaseModel | Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Response:
        """The answer to give now, and to every repetition of the request."""
        is_model = isinstance(content, BaseModel)
        if is_model and not self._keeps:
            return Response(content.model_dump_json(), status, headers, "application/json")
        body = content.model_dump(mode="json") if is_model else jsonable_encoder(content)
        self.kept = Answer(status, body, dict(headers or {}))
        return JSONResponse(self.kept.body, status, dict(headers or {}))


@contextmanager
def once(request: Request, caller: Caller, body: BaseModel | Any) -> Iterator[Once]:
    """Do a request with an Idempotency-Key once. Raises IdempotencyConflict, IdempotencyMismatch, OptionError."""
    key = request.headers.get("idempotency-key")
    if key is None:
        yield Once(Slot(new_seed()), keeps=False)
        return
    kept = service_of(request).idempotency
    said = jsonable_encoder(body)
    slot = kept.begin(caller.owner, key, fingerprint(request.method, request.url.path, said))
    work = Once(slot)
    try:
        yield work
    except BaseException as error:
        if slot.answer is None:
            refused = isinstance(error, MienError) and error.http_status < 500
            kept.abandon(caller.owner, key, slot, refused=refused)
        raise
    if slot.answer is not None:
        return
    if work.kept is None:
        kept.abandon(caller.owner, key, slot, refused=False)
    else:
        kept.finish(caller.owner, key, slot, work.kept)


def _replay(answer: Answer) -> JSONResponse:
    return JSONResponse(answer.body, answer.status, {**answer.headers, "Idempotency-Replayed": "true"})
