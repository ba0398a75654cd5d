"""The view of queue and history as jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mien.testing.comfyui.prompts import Prompt, Prompts

STATES: Final = ("pending", "in_progress", "completed", "failed", "cancelled")
_PREVIEWABLE: Final = ("images", "video", "audio", "3d")


def jobs(prompts: Prompts) -> list[dict[str, Any]]:
    """All jobs, in the order of their creation, each as the single view shows it."""
    running, waiting = prompts.view()
    found = [_ended(entry) for entry in prompts.history().values()]
    found += [_open(prompt, "in_progress") for prompt in running]
    found += [_open(prompt, "pending") for prompt in sorted(waiting)]
    return found


def brief(job: Mapping[str, Any]) -> dict[str, Any]:
    """The job as the list shows it."""
    return {
        key: value for key, value in job.items() if key not in ("outputs", "execution_status", "workflow")
    }


def _open(prompt: Prompt, state: str) -> dict[str, Any]:
    job = _head(prompt.id, state, prompt.number, prompt.extra_data)
    return {**job, "outputs_count": 0, "previewable_outputs_count": 0, **_workflow_id(prompt.extra_data)}


def _head(id: str, state: str, number: float, extra_data: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": id, "status": state, "priority": number, "create_time": extra_data.get("create_time")}


def _workflow_id(extra_data: Mapping[str, Any]) -> dict[str, Any]:
    workflow = (extra_data.get("extra_pnginfo") or {}).get("workflow", {})
    return {"workflow_id": workflow["id"]} if "id" in workflow else {}


def state_of(status: Mapping[str, Any]) -> str:
    """The state of a job that has ended."""
    if status["status_str"] == "success":
        return "completed"
    return "cancelled" if any(m[0] == "execution_interrupted" for m in status["messages"]) else "failed"


def _ended(entry: Mapping[str, Any]) -> dict[str, Any]:
    number, id, graph, extra_data, _ = entry["prompt"]
    messages = dict(entry["status"]["messages"])
    last = entry["status"]["messages"][-1][1]
    items = [
        (node, kind, item)
        for node, shown in entry["outputs"].items()
        for kind, values in shown.items()
        for item in values
    ]
    files = [found for found in items if isinstance(found[2], dict)]
    job = _head(id, state_of(entry["status"]), number, extra_data)
    job["execution_start_time"] = messages["execution_start"]["timestamp"]
    job["execution_end_time"] = last["timestamp"]
    if "execution_error" in messages:
        job["execution_error"] = messages["execution_error"]
    job["outputs_count"] = len(files)
    job["previewable_outputs_count"] = sum(kind in _PREVIEWABLE for _, kind, _ in files)
    for node, kind, item in items[:1]:
        shown = item if isinstance(item, dict) else {"content": item}
        job["preview_output"] = {**shown, "nodeId": node, "mediaType": kind}
    job |= _workflow_id(extra_data)
    job["outputs"] = entry["outputs"]
    job["execution_status"] = entry["status"]
    job["workflow"] = {"prompt": graph, "extra_data": extra_data}
    return job
