"""Checking a graph before it is sent: size, allowed node classes, and whether an instance can run it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final

from mien.comfyui.graph import Graph, title
from mien.comfyui.settings import ComfySettings
from mien.errors import WorkflowInvalid

_SIDES: Final = ("width", "height", "target_width", "target_height")
_BATCHES: Final = ("batch_size", "amount", "repeat_count")
_OPEN_TYPES: Final = ("*", "COMBO")


def check_size(graph: Graph, settings: ComfySettings) -> None:
    """Refuse a graph that is no graph, too large, or asks for sizes that end an instance.

    Raises WorkflowInvalid with the first problem.
    """
    # In this order: what has no shape cannot be measured.
    checks = (_shape(graph), _limits(graph, settings), _forbidden(graph, settings))
    for problem in chain.from_iterable(checks):
        raise WorkflowInvalid(f"The graph cannot be run: {problem}.")


def problems(graph: Graph, object_info: Mapping[str, Any], settings: ComfySettings) -> list[str]:
    """Everything that would keep an instance with these node classes from running the graph, one sentence each."""
    found = list(_shape(graph))
    if found:
        return found
    found += [*_limits(graph, settings), *_forbidden(graph, settings)]
    for node, content in graph.items():
        known = object_info.get(content["class_type"])
        where = f"{title(graph, node)} (node {node})"
        if known is None:
            found.append(f"{where} is of the class {content['class_type']}, which is not installed")
            continue
        found += [f"{where}: {problem}" for problem in _inputs(content["inputs"], known, graph, object_info)]
    if not any(object_info.get(content["class_type"], {}).get("output_node") for content in graph.values()):
        found.append("no node saves or shows a result")
    return [f"{problem}." for problem in found]


def links(graph: Graph) -> Iterator[tuple[str, str, list[Any]]]:
    """Node, input and link of every linked input."""
    for node, content in graph.items():
        for name, value in content["inputs"].items():
            if isinstance(value, list):
                yield node, name, value


def _shape(graph: object) -> Iterator[str]:
    if not isinstance(graph, Mapping) or not graph:
        yield "it is not an object with one entry per node; save it from ComfyUI in API format"
        return
    if "nodes" in graph and "links" in graph:
        yield "it is in the format of the editor; save it from ComfyUI in API format"
        return
    bad = [
        node
        for node, content in graph.items()
        if not isinstance(content, Mapping)
        or not isinstance(content.get("class_type"), str)
        or not isinstance(content.get("inputs"), Mapping)
    ]
    if bad:
        yield f"node {bad[0]} lacks class_type or inputs"
        return
    for node, name, link in links(graph):
        if len(link) != 2 or str(link[0]) not in graph or not isinstance(link[1], int):
            yield f"the input {name} of node {node} is linked to a node that is not there"


def _limits(graph: Graph, settings: ComfySettings) -> Iterator[str]:
    if len(graph) > settings.max_nodes:
        yield f"it has {len(graph)} nodes, and {settings.max_nodes} are allowed"
    size = len(json.dumps(graph))
    if size > settings.max_graph_bytes:
        yield f"it has {size} bytes, and {settings.max_graph_bytes} are allowed"
    for node, content in graph.items():
        for names, limit in ((_SIDES, settings.max_side), (_BATCHES, settings.max_batch)):
            for name in names:
                value = content["inputs"].get(name)
                if isinstance(value, int | float) and value > limit:
                    yield f"{name} of {title(graph, node)} (node {node}) is {value}, and {limit} is allowed"


def _forbidden(graph: Graph, settings: ComfySettings) -> Iterator[str]:
    if settings.allowed_classes is None:
        return
    for name in sorted({content["class_type"] for content in graph.values()} - settings.allowed_classes):
        yield f"the node class {name} is not allowed here (MIEN_COMFYUI_ALLOWED_CLASSES)"


def _inputs(
    inputs: Mapping[str, Any], known: Mapping[str, Any], graph: Graph, object_info: Mapping[str, Any]
) -> Iterator[str]:
    required: Mapping[str, Any] = known["input"].get("required") or {}
    specs = {**required, **(known["input"].get("optional") or {})}
    # Dynamic inputs (`loras.lora_1`, `value:a`) are named by the node itself, so a name alone proves little.
    dynamic = any("DYNAMIC" in str(spec[0]) or "AUTOGROW" in str(spec[0]) for spec in specs.values() if spec)
    for name in required:
        if name not in inputs and not dynamic:
            yield f"the input {name} is missing"
    for name, value in inputs.items():
        spec = specs.get(name)
        if spec is None:
            continue
        if isinstance(value, list):
            yield from _link(name, value, spec, graph, object_info)
        else:
            yield from _literal(name, value, spec)


def _link(
    name: str, link: list[Any], spec: list[Any], graph: Graph, object_info: Mapping[str, Any]
) -> Iterator[str]:
    origin = object_info.get(graph[str(link[0])]["class_type"])
    if origin is None:
        return
    given = origin.get("output") or []
    if link[1] >= len(given):
        yield f"the input {name} is linked to output {link[1]} of a node that has {len(given)}"
        return
    kind, wanted = given[link[1]], spec[0]
    if not isinstance(kind, str) or not isinstance(wanted, str) or {kind, wanted} & set(_OPEN_TYPES):
        return
    if not set(kind.split(",")) & set(wanted.split(",")):
        yield f"the input {name} takes {wanted} and is linked to {kind}"


def _literal(name: str, value: Any, spec: list[Any]) -> Iterator[str]:
    kind, settings = spec[0], spec[1] if len(spec) > 1 and isinstance(spec[1], Mapping) else {}
    choices = kind if isinstance(kind, list) else settings.get("options") if kind == "COMBO" else None
    if choices is not None:
        uploaded = any(key.endswith("_upload") for key in settings)
        if not uploaded and value not in choices:
            yield f"{name} is {value!r}, which is not offered ({_some(choices)})"
    elif kind in ("INT", "FLOAT") and isinstance(value, int | float):
        if value < settings.get("min", value):
            yield f"{name} is {value}, and at least {settings['min']} is taken"
        if value > settings.get("max", value):
            yield f"{name} is {value}, and at most {settings['max']} is taken"
    elif kind in ("INT", "FLOAT"):
        yield f"{name} is {value!r}, and a number is taken"


def _some(choices: Iterable[Any]) -> str:
    shown = [str(choice) for choice in choices]
    if not shown:
        return "nothing is; files of models are missing there"
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
