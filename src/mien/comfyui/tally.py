"""What the websocket said about one prompt so far: progress and hints, never the truth."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mien.comfyui import frames
from mien.comfyui.graph import Graph, title


@dataclass(frozen=True, slots=True)
class ComfyProgress:
    """How far a prompt is."""

    node: str
    """Title of the node that runs; empty while it waits."""
    done: float
    """Nodes that are finished, and the finished part of the one that runs."""
    total: int
    """Nodes that have to run: those of the graph without the cached ones."""
    preview: bytes | None = None
    """The newest preview, a JPEG or PNG file."""
    preview_type: str = ""

    @property
    def share(self) -> float:
        """From 0.0 to below 1.0; the end is known only when the run returns."""
        return min(self.done / self.total, 0.99) if self.total else 0.0


class Tally:
    """Written by the thread that reads the socket, read by the one that follows the prompt."""

    def __init__(self, graph: Graph, prompt_id: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._graph = graph
        self._prompt_id = prompt_id
        self._clock = clock
        self._condition = threading.Condition()
        self._cached: frozenset[str] = frozenset()
        self._states: Mapping[str, Any] = {}
        self._node = ""
        self._done = 0.0
        self._preview: frames.Picture | None = None
        self._changes = 0
        self._seen = 0
        self.changed_at = clock()
        """When the last message about the prompt came."""
        self.started = False
        self.ended = False
        """The socket says that the prompt has ended; history decides."""
        self.blocked: tuple[str, str] | None = None
        """Node id and message of a node that blocked its output."""

    def wait(self, seconds: float) -> None:
        """Sleep until there is news, for at most ``seconds``."""
        with self._condition:
            if self._changes == self._seen:
                self._condition.wait(seconds)
            self._seen = self._changes

    def progress(self) -> ComfyProgress:
        """How far the prompt is; ``done`` never falls."""
        with self._condition:
            total = max(len(set(self._graph) - self._cached), 1)
            self._done = max(self._done, min(self._count(), float(total)))
            preview = self._preview
            return ComfyProgress(
                title(self._graph, self._node) if self._node else "",
                self._done,
                total,
                preview.data if preview else None,
                preview.content_type if preview else "",
            )

    def _count(self) -> float:
        done = 0.0
        for name, state in self._states.items():
            if name not in self._graph or name in self._cached or not isinstance(state, dict):
                continue
            value, top = state.get("value", 0), state.get("max", 1)
            done += 1.0 if state.get("state") == "finished" else min(value / top, 1.0) if top else 0.0
        return done

    def take(self, message: object) -> None:
        """A text message; what is malformed, unknown or for another prompt is passed over."""
        if not isinstance(message, dict) or not isinstance(message.get("data"), dict):
            return
        kind, data = message.get("type"), message["data"]
        if kind == "status":
            self._news(False)
            return
        # The message after opening names the running node and no prompt; only its submitter gets it.
        if data.get("prompt_id", self._prompt_id if kind == "executing" else None) != self._prompt_id:
            return
        with self._condition:
            self._read(str(kind), data)
        self._news(True)

    def take_frame(self, frame: bytes) -> None:
        """A binary message."""
        found = frames.picture(frame)
        if found is None or found.ids.get("prompt_id", self._prompt_id) != self._prompt_id:
            return
        with self._condition:
            if found.ids or (self.started and not self.ended):
                self._preview = found
        self._news(True)

    def _read(self, kind: str, data: Mapping[str, Any]) -> None:
        self.started = True
        if kind == "execution_cached" and isinstance(data.get("nodes"), list):
            self._cached = frozenset(map(str, data["nodes"]))
        elif kind == "progress_state" and isinstance(data.get("nodes"), dict):
            self._states = data["nodes"]
        elif kind == "executing":
            node = data.get("display_node") or data.get("node")
            self._node = str(node) if node is not None else self._node
            self.ended |= data.get("node") is None
        elif kind in ("execution_success", "execution_interrupted"):
            self.ended = True
        elif kind == "execution_error":
            if data.get("exception_type") == "ExecutionBlocked":
                self.blocked = (str(data.get("node_id")), str(data.get("exception_message", "")))
            else:
                self.ended = True

    def _news(self, about_it: bool) -> None:
        with self._condition:
            self._changes += 1
            if about_it:
                self.changed_at = self._clock()
            self._condition.notify_all()
