"""What a file says about how it was made, and whether that is still true."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request

from mien.errors import InputError
from mien.server.bodies import form_schema, is_form, is_json, read_json, refuse_type
from mien.server.deps import Reader, ServiceDep
from mien.server.errors import problems
from mien.server.multipart import parse_form
from mien.server.schemas import Verification, VerifyRequest
from mien.server.threads import threads_of

if TYPE_CHECKING:
    from mien.safety.verify import Findings

router = APIRouter(tags=["verify"])

_FORM = {"file": {"type": "string", "format": "binary", "description": "The picture or video."}}


@router.post(
    "/verify",
    response_model=Verification,
    responses=problems(401, 403, 404, 413, 415, 422, 424, 429, 503, 507),
    openapi_extra=form_schema(_FORM, {"$ref": "#/components/schemas/VerifyRequest"}, ["file"]),
)
async def verify_file(request: Request, service: ServiceDep, caller: Reader) -> Verification:
    """Look for Content Credentials, plain marks and the watermark in an upload, an asset, or what an address gives."""
    looking, threads = service.desk.looking, threads_of(request.app)
    if is_json(request):
        body = await read_json(request, VerifyRequest)
        reference = body.asset or body.url
        if reference is None or (body.asset and body.url):
            raise InputError("Name the file by asset or by url, and by one of them only.")
        return _shown(*await threads.look(lambda: looking.verify_asset(reference, caller)), "The file")
    if not is_form(request):
        raise refuse_type()
    async with parse_form(request, service.settings, files=1) as form:
        files = form.files_of("file")
        if not files:
            raise InputError("The form has no file; send it as the field file.")
        return _shown(*await threads.look(lambda: looking.verify(files[0].path)), files[0].name)


def _shown(findings: Findings, verdict: str, name: str) -> Verification:
    found = replace(findings, path=Path(name))
    mark = found.watermark
    return Verification.model_validate(
        {
            "verdict": verdict,
            "kind": found.kind,
            "sentences": list(found.sentences()),
            "manifest": asdict(found.manifest),
            "marks": None if found.marks is None else asdict(found.marks),
            "watermark": None if mark is None else {"id": mark.text, "certainty": round(mark.certainty, 3)},
        }
    )
