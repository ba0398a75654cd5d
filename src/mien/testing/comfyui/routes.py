"""The HTTP routes, each bare and under `/api`."""

from __future__ import annotations

import asyncio
import json
import mimetypes
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import cv2
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from mien.testing.comfyui import jobs_view
from mien.testing.comfyui.builtin import CHECKPOINTS, UPSCALERS
from mien.testing.comfyui.files import KINDS, Image, Outside, read
from mien.testing.comfyui.prompts import Prompt, now
from mien.testing.comfyui.validation import Refused, Validator, refusal

if TYPE_CHECKING:
    from mien.testing.comfyui.server import Life

FEATURES: Final[dict[str, Any]] = {
    "supports_preview_metadata": True,
    "supports_model_type_tags": True,
    "max_upload_size": 104857600,
    "extension": {"manager": {"supports_v4": True}},
    "node_replacements": True,
    "assets": False,
}
MODELS: Final = {
    "checkpoints": CHECKPOINTS,
    "loras": (),
    "vae": (),
    "embeddings": (),
    "upscale_models": UPSCALERS,
}
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ACTIVE: Final = ("text/html", "text/javascript", "image/svg+xml", "text/xml", "application/xml")
_SECRETS: Final = ("api_key_comfy_org", "auth_token_comfy_org")

Handler = Callable[[Request], Awaitable[Response]]


class Json(JSONResponse):
    """With the content type that the server writes."""

    media_type = "application/json; charset=utf-8"


def trouble() -> Response:
    """The answer to what the server did not expect."""
    return PlainTextResponse("500 Internal Server Error\n\nServer got itself in trouble", 500)


class Routes:
    """The routes over one process life."""

    def __init__(self, life: Life) -> None:
        self._life = life

    def routes(self) -> list[BaseRoute]:
        """All routes."""
        table: list[tuple[str, str, Handler]] = [
            ("GET", "/prompt", self._remaining),
            ("POST", "/prompt", self._submit),
            ("GET", "/queue", self._queue),
            ("POST", "/queue", self._edit_queue),
            ("POST", "/interrupt", self._interrupt),
            ("POST", "/free", self._free),
            ("GET", "/history", self._history),
            ("GET", "/history/{id}", self._history),
            ("POST", "/history", self._edit_history),
            ("POST", "/upload/image", self._upload),
            ("POST", "/upload/mask", self._upload),
            ("GET", "/view", self._view),
            ("GET", "/system_stats", self._system_stats),
            ("GET", "/features", self._features),
            ("GET", "/object_info", self._object_info),
            ("GET", "/object_info/{name}", self._object_info),
            ("GET", "/models", self._models),
            ("GET", "/models/{folder}", self._models),
            ("GET", "/embeddings", self._embeddings),
        ]
        if self._life.abilities.job_view:
            table += [("GET", "/api/jobs", self._jobs), ("GET", "/api/jobs/{id}", self._job)]
        if self._life.abilities.job_cancel:
            table += [
                ("POST", "/api/jobs/cancel", self._cancel_jobs),
                ("POST", "/api/jobs/{id}/cancel", self._cancel_job),
            ]
        return [
            Route(prefix + path, self._guard(handler), methods=[method])
            for method, path, handler in table
            for prefix in ("", "/api")
        ]

    def _guard(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            faults = self._life.faults
            self._life.requests.append((request.method, request.url.path))
            while faults.silent:
                await asyncio.sleep(0.02)
            await asyncio.sleep(faults.slow)
            if _is_cross_site(request):
                return Response(status_code=403)
            try:
                return await handler(request)
            except (ValueError, TypeError, KeyError, AttributeError):
                return trouble()

        return guarded

    async def _submit(self, request: Request) -> Response:
        life, faults = self._life, self._life.faults
        body = await request.json()
        if faults.spend("refused_submits"):
            return trouble()
        try:
            prompt, node_errors = self._accept(body)
        except Refused as error:
            return Json(error.body, 400)
        life.prompts.put(prompt)
        if faults.spend("vanishing_prompts"):
            life.prompts.remove([prompt.id])
        if faults.spend("failing_submits"):
            return trouble()
        if faults.spend("silent_submits"):
            life.cut(request)
        return Json({"prompt_id": prompt.id, "number": prompt.number, "node_errors": node_errors})

    def _accept(self, body: Any) -> tuple[Prompt, dict[str, Any]]:
        life = self._life
        if "prompt" not in body:
            raise refusal("no_prompt", "No prompt provided", "No prompt provided")
        prompt_id = body.get("prompt_id")
        if prompt_id is None:
            prompt_id = str(uuid4())
        elif life.abilities.strict_ids and not _UUID.fullmatch(str(prompt_id)):
            details = "prompt_id must be a UUID string in canonical lowercase hyphenated form"
            details += "; omit it to let the server generate one"
            raise refusal("invalid_prompt_id", "prompt_id must be a valid UUID", details)
        number = life.prompts.number(body.get("number"), bool(body.get("front")))
        graph, targets = body["prompt"], body.get("partial_execution_targets")
        validator = Validator(graph, life.nodes, life.folders, life.abilities.strict_ids)
        outputs, node_errors = validator.outputs(targets)
        extra_data = dict(body.get("extra_data", {}))
        if "client_id" in body:
            extra_data["client_id"] = body["client_id"]
        if life.abilities.job_view:
            extra_data["create_time"] = now()
        for secret in _SECRETS:
            extra_data.pop(secret, None)
        return Prompt(number, str(prompt_id), graph, extra_data, outputs), node_errors

    async def _remaining(self, request: Request) -> Response:
        return Json({"exec_info": {"queue_remaining": self._life.prompts.remaining()}})

    async def _queue(self, request: Request) -> Response:
        running, waiting = self._life.prompts.view()
        return Json(
            {"queue_running": [p.item() for p in running], "queue_pending": [p.item() for p in waiting]}
        )

    async def _edit_queue(self, request: Request) -> Response:
        body = await request.json()
        if body.get("clear"):
            self._life.prompts.clear()
        self._life.prompts.remove(body.get("delete", ()))
        return Response()

    async def _interrupt(self, request: Request) -> Response:
        data = await request.body()
        body = json.loads(data) if data else {}
        self._life.executor.interrupt(body.get("prompt_id"))
        return Response()

    async def _free(self, request: Request) -> Response:
        body = await request.json()
        self._life.executor.freed += 1
        if body.get("free_memory"):
            self._life.executor.cache.clear()
        return Response()

    async def _history(self, request: Request) -> Response:
        entries = self._life.prompts.history()
        if "id" in request.path_params:
            id = request.path_params["id"]
            return Json({id: entries[id]} if id in entries else {})
        limit, offset = request.query_params.get("max_items"), int(request.query_params.get("offset", -1))
        names = list(entries)
        if limit is not None:
            first = len(names) - int(limit) if offset < 0 else offset
            names = names[max(0, first) :][: int(limit)]
        return Json({name: entries[name] for name in names})

    async def _edit_history(self, request: Request) -> Response:
        body = await request.json()
        if body.get("clear"):
            self._life.prompts.forget()
        self._life.prompts.forget(body.get("delete", ()))
        return Response()

    async def _jobs(self, request: Request) -> Response:
        query = request.query_params
        wanted = [state for state in query.get("status", "").split(",") if state]
        bad = [state for state in wanted if state not in jobs_view.STATES]
        if bad:
            valid = ", ".join(jobs_view.STATES)
            return Json({"error": f"Invalid status value(s): {', '.join(bad)}. Valid values: {valid}"}, 400)
        found = [job for job in jobs_view.jobs(self._life.prompts) if not wanted or job["status"] in wanted]
        if workflow := query.get("workflow_id"):
            found = [job for job in found if job.get("workflow_id") == workflow]
        if query.get("sort_by") == "execution_duration":
            found.sort(key=lambda job: job.get("execution_end_time", 0) - job.get("execution_start_time", 0))
        if query.get("sort_order", "desc") == "desc":
            found.reverse()
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", len(found) or 1))
        page = [jobs_view.brief(job) for job in found[offset : offset + limit]]
        more = offset + limit < len(found)
        counts = {"offset": offset, "limit": limit, "total": len(found), "has_more": more}
        return Json({"jobs": page, "pagination": counts})

    async def _job(self, request: Request) -> Response:
        id = request.path_params["id"]
        found = [job for job in jobs_view.jobs(self._life.prompts) if job["id"] == id]
        return Json(found[0]) if found else Json({"error": "Job not found"}, 404)

    def _cancel(self, id: str) -> bool:
        return self._life.prompts.remove([id]) or self._life.executor.interrupt(id)

    async def _cancel_job(self, request: Request) -> Response:
        return Json({"cancelled": self._cancel(request.path_params["id"])})

    async def _cancel_jobs(self, request: Request) -> Response:
        ids = (await request.json())["job_ids"]
        bad = [id for id in ids if not _UUID.fullmatch(id)]
        if bad:
            return Json({"error": "job_ids contains invalid id(s)", "invalid_ids": bad}, 400)
        results = [self._cancel(id) for id in ids]
        return Json({"cancelled": any(results)})

    async def _upload(self, request: Request) -> Response:
        async with request.form() as form:
            part = form.get("image")
            if part is None or isinstance(part, str) or not part.filename:
                return Response(status_code=400)
            kind, subfolder = str(form.get("type", "input")), str(form.get("subfolder", ""))
            if kind not in KINDS:
                return trouble()
            data = await part.read()
            overwrite = form.get("overwrite") in ("true", "1")
            try:
                if request.url.path.endswith("/mask"):
                    data = self._masked(data, json.loads(str(form["original_ref"])))
                name = self._life.folders.keep(kind, subfolder, part.filename, data, overwrite)
            except Outside:
                return Response(status_code=400)
        return Json({"name": name, "subfolder": subfolder, "type": kind})

    def _masked(self, data: bytes, original: dict[str, str]) -> bytes:
        kind, subfolder = original.get("type", "output"), original.get("subfolder", "")
        picture = read(self._life.folders.inside(kind, subfolder, original["filename"]))
        path = self._life.folders.inside("temp", "mask.png")
        path.write_bytes(data)
        mask = read(path)
        if picture is None or mask is None or mask.shape[2] != 4:
            raise ValueError("no picture with alpha")
        alpha = cv2.resize(mask[:, :, 3], (picture.shape[1], picture.shape[0]))
        encoded: bytes = cv2.imencode(".png", cv2.merge([*cv2.split(picture)[:3], alpha]))[1].tobytes()
        return encoded

    async def _view(self, request: Request) -> Response:
        query = request.query_params
        name, kind, subfolder = (
            query.get("filename", ""),
            query.get("type", "output"),
            query.get("subfolder", ""),
        )
        if not name:
            return Response(status_code=404)
        if name.startswith("/") or ".." in name or kind not in KINDS:
            return Response(status_code=400)
        try:
            path = self._life.folders.inside(kind, subfolder, name.rpartition("/")[2])
        except Outside:
            return Response(status_code=403)
        if not path.is_file():
            return Response(status_code=404)
        media = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        head = {"Content-Disposition": f'filename="{path.name}"'}
        if "preview" in query or "channel" in query:
            return _recoded(read(path), query.get("preview"), query.get("channel"), head)
        if self._life.abilities.nosniff:
            head["X-Content-Type-Options"] = "nosniff"
            if media in _ACTIVE:
                media = "application/octet-stream"
                head["Content-Disposition"] = f'attachment; filename="{path.name}"'
        return FileResponse(path, headers=head, media_type=media)

    async def _system_stats(self, request: Request) -> Response:
        memory = {"ram_total": 1 << 34, "ram_free": 1 << 33}
        system = {
            "os": "linux",
            **memory,
            "comfyui_version": self._life.version,
            "python_version": "3.11.7",
            "pytorch_version": "2.13.0+cpu",
            "embedded_python": False,
            "argv": ["main.py", "--base-directory", str(self._life.folders.root)],
        }
        names = ("vram_total", "vram_free", "torch_vram_total", "torch_vram_free")
        device = {"name": "cpu", "type": "cpu", "index": None, **dict.fromkeys(names, 1 << 33)}
        return Json({"system": system, "devices": [device]})

    async def _features(self, request: Request) -> Response:
        return Json(FEATURES)

    async def _object_info(self, request: Request) -> Response:
        name = request.path_params.get("name")
        names = list(self._life.nodes) if name is None else [name] if name in self._life.nodes else []
        return Json({one: self._life.nodes[one].describe() for one in names})

    async def _models(self, request: Request) -> Response:
        folder = request.path_params.get("folder")
        if folder is None:
            return Json(list(MODELS))
        return Json(list(MODELS[folder])) if folder in MODELS else Response(status_code=404)

    async def _embeddings(self, request: Request) -> Response:
        return Json([])


def _recoded(image: Image | None, preview: str | None, channel: str | None, head: dict[str, str]) -> Response:
    if image is None:
        return trouble()
    if channel == "rgb":
        image = image[:, :, :3]
    elif channel == "a":
        image = image[:, :, 3:] if image.shape[2] == 4 else image[:, :, :1] * 0 + 255
    kind, _, quality = (preview or "png").partition(";")
    ending = {"webp": ".webp", "jpeg": ".jpg"}.get(kind, ".png")
    flag = {"webp": cv2.IMWRITE_WEBP_QUALITY, "jpeg": cv2.IMWRITE_JPEG_QUALITY}.get(kind)
    settings = [flag, int(quality)] if flag is not None and quality else []
    data = cv2.imencode(ending, image, settings)[1].tobytes()
    return Response(data, media_type=f"image/{kind}", headers=head)


def _is_cross_site(request: Request) -> bool:
    """Only checked when the server is addressed by a loopback name, as on the real one."""
    host, origin = request.headers.get("host", ""), request.headers.get("origin", "")
    if request.headers.get("sec-fetch-site") == "cross-site":
        return True
    local = host.rpartition(":")[0] in ("127.0.0.1", "localhost", "[::1]")
    return local and "//" in origin and origin.partition("//")[2] != host
