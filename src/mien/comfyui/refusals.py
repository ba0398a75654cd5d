"""What an instance says is wrong, in words that may be shown to whoever submitted the work.

Instances put tracebacks, paths, and the values that nodes were working on into their errors. None of that is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from mien.comfyui.graph import Graph, title
from mien.errors import ComfyError, NodeFailed, OutOfMemory, WorkflowInvalid

_HIDDEN: Final = (
    re.compile(r"\b\w+://\S+"),
    re.compile(r"(?:[A-Za-z]:)?(?:[\\/][^\\/\s'\"]+){2,}[\\/]?"),
    re.compile(r"\b(?:sk|hf|ghp|key|token|api)[-_][\w-]{6,}", re.IGNORECASE),
    re.compile(r"\b(?=\w*\d)(?=\w*[A-Za-z])[\w-]{24,}"),
)
_MISSING: Final = ("missing_node_type", "invalid_prompt")
_LONGEST: Final = 200
_SHOWN: Final = 5
_WORDS: Final[Mapping[str, str]] = {
    "required_input_missing": "is missing",
    "bad_linked_input": "is a malformed link",
    "return_type_mismatch": "is linked to an output of another type",
    "invalid_input_type": "has a value of the wrong type",
    "value_smaller_than_min": "is too small",
    "value_bigger_than_max": "is too large",
    "value_not_in_list": "is not one of the values that this instance offers",
    "custom_validation_failed": "is refused by the node",
    "dependency_cycle": "is part of a circle of links",
    "exception_during_validation": "cannot be checked, such as a link to a node that does not exist",
    "exception_during_inner_validation": "cannot be checked",
    "invalid_dynamic_input": "does not fit the node's other inputs",
}


WEIGHTS: Final = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".onnx", ".sft")
"""Endings of files of models."""


class Lacking(WorkflowInvalid):
    """The instance has not all node classes and model files of the graph; another one may."""

    def __init__(self, message: str, what: frozenset[str]) -> None:
        super().__init__(message)
        self.what = what
        """Names of the classes and files."""


class InstanceFull(OutOfMemory):
    """The instance ran out of memory; another one may have more."""


def needs(graph: Graph) -> frozenset[str]:
    """The node classes and model files of a graph, which an instance may lack."""
    found = {str(node.get("class_type")) for node in graph.values()}
    for node in graph.values():
        found |= {value for value in node.get("inputs", {}).values() if _is_weights(value)}
    return frozenset(found)


def _is_weights(value: object) -> bool:
    return isinstance(value, str) and value.lower().endswith(WEIGHTS)


def tidy(text: str) -> str:
    """The first line of a message without paths, addresses and what looks like a key."""
    line = text.strip().partition("\n")[0]
    for pattern in _HIDDEN:
        line = pattern.sub("…", line)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def refused(answer: Mapping[str, Any], graph: Graph) -> WorkflowInvalid:
    """The error for a submission that was refused, or taken in part only."""
    problems = list(_problems(answer.get("node_errors") or {}, graph))
    if not problems:
        problems = [_whole(answer.get("error"), graph)]
    more = len(problems) - _SHOWN
    listed = "; ".join(problems[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
    message = f"The ComfyUI instance refuses the graph: {listed}."
    what = _lacking(answer) & needs(graph)
    return Lacking(message, what) if what else WorkflowInvalid(message)


def _lacking(answer: Mapping[str, Any]) -> frozenset[str]:
    """Classes and files that a refusal says are not there."""
    whole = answer.get("error")
    found = []
    if isinstance(whole, dict) and whole.get("type") in _MISSING:
        found.append((whole.get("extra_info") or {}).get("class_type"))
    for content in (answer.get("node_errors") or {}).values():
        for error in content.get("errors", ()):
            if error.get("type") == "value_not_in_list":
                found.append((error.get("extra_info") or {}).get("received_value"))
    return frozenset(name for name in found if isinstance(name, str))


def _problems(node_errors: Mapping[str, Any], graph: Graph) -> list[str]:
    found = []
    for node, content in node_errors.items():
        for error in content.get("errors", ()):
            extra = error.get("extra_info") or {}
            name = extra.get("input_name")
            where = f"{name} of {title(graph, node)}" if name else title(graph, node)
            found.append(f"{where} (node {node}) {_why(error.get('type'), extra)}")
    return found


def _why(kind: object, extra: Mapping[str, Any]) -> str:
    words = _WORDS.get(str(kind), "is not accepted")
    settings = (extra.get("input_config") or [None, None])[-1]
    if isinstance(settings, dict):
        if kind == "value_smaller_than_min":
            return f"{words}: at least {settings.get('min')}"
        if kind == "value_bigger_than_max":
            return f"{words}: at most {settings.get('max')}"
    return words


def _whole(error: object, graph: Graph) -> str:
    """A refusal of the graph as such."""
    if not isinstance(error, dict):
        return "it gives no reason"
    extra = error.get("extra_info") or {}
    kind = error.get("type")
    if kind in _MISSING:
        missing = extra.get("class_type") or title(graph, str(extra.get("node_id")))
        return f"the node class {missing} is not installed there"
    if kind == "prompt_no_outputs":
        return "it has no output node, such as SaveImage"
    return tidy(str(error.get("message", "it gives no reason"))).rstrip(".")


def failure(entry: Mapping[str, Any], graph: Graph) -> ComfyError | OutOfMemory:
    """The error for a history entry that says that the run failed."""
    data: Mapping[str, Any] = next(
        (data for kind, data in entry["status"]["messages"] if kind == "execution_error"), {}
    )
    where = f"{title(graph, str(data.get('node_id')))} (node {data.get('node_id')})"
    kind = str(data.get("exception_type", "")).rpartition(".")[2]
    if kind.endswith("OutOfMemoryError"):
        return InstanceFull(
            f"The ComfyUI instance ran out of memory in {where}; use smaller pictures or a smaller batch."
        )
    words = tidy(str(data.get("exception_message", "")))
    return NodeFailed(
        f"{where} failed with {kind or 'an error'}{f': {words}' if words else ''}.".replace("..", ".")
    )


def was_interrupted(entry: Mapping[str, Any]) -> bool:
    """True for an entry of a run that was stopped."""
    return any(kind == "execution_interrupted" for kind, _ in entry["status"]["messages"])
