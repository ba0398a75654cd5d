"""Graphs in API format: node id -> class, inputs and perhaps a title."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from mien.errors import WorkflowInvalid

Graph: TypeAlias = Mapping[str, Any]

_JOB_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a graph needs."""

    path: Path
    name: str
    """The name that it gets in the folder of the job, with its ending."""
    places: tuple[tuple[str, str], ...]
    """Node id and input of every place that is to name it."""


def title(graph: Graph, node: str) -> str:
    """What a node is called for people: its title, else its class; nodes of subgraphs by the one that expanded."""
    known = graph.get(node) or graph.get(node.partition(".")[0]) or {}
    named = known.get("_meta", {}).get("title") or known.get("class_type")
    return str(named) if named else f"node {node}"


def for_attempt(
    graph: Graph, job_id: str, attempt: int, names: Mapping[str, str], uploads: Sequence[Upload]
) -> Graph:
    """A deep copy in which all files are named for this attempt of this job.

    ``names`` gives the names that the instance keeps the uploads under. A prefix of its own makes each saving node
    run: otherwise a cached one names the file of an earlier run, which may be another's, or gone.
    """
    if not _JOB_ID.fullmatch(job_id):
        raise WorkflowInvalid(
            f"The job id {job_id!r} cannot name a folder; use letters, digits, - and _ only."
        )
    made: dict[str, Any] = copy.deepcopy(dict(graph))
    for node, content in made.items():
        inputs = content.get("inputs", {})
        if isinstance(inputs.get("filename_prefix"), str):
            suffix = f"-{attempt}" if attempt else ""
            inputs["filename_prefix"] = f"{job_id}/{re.sub(r'[^A-Za-z0-9_-]', '_', node)}{suffix}"
    for upload in uploads:
        for node, name in upload.places:
            made[node]["inputs"][name] = names[upload.name]
    return made
