"""Runs prompts one after the other and tells sockets and history about it, in the server's order."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from mien.testing.comfyui.faults import Faults
from mien.testing.comfyui.files import Folders, Image, jpeg
from mien.testing.comfyui.nodes import Blocked, Node, Result
from mien.testing.comfyui.prompts import Prompt, Prompts, now
from mien.testing.comfyui.sockets import Sockets

Send = Callable[[str, dict[str, Any], str | None], None]


class OutOfMemoryError(Exception):
    """Named like torch's."""


class Interrupted(Exception):
    """Somebody asked to stop the running prompt."""


class Ended(BaseException):
    """The process ends."""


class Executor(threading.Thread):
    """The worker thread of one process life."""

    def __init__(
        self,
        nodes: Mapping[str, Node],
        folders: Folders,
        prompts: Prompts,
        sockets: Sockets,
        faults: Faults,
        *,
        told: Callable[[str, dict[str, Any]], None],
        cached_outputs: bool,
    ) -> None:
        """``told`` is called with each message just before it is sent."""
        super().__init__(name="fake-comfyui", daemon=True)
        self.nodes, self.folders, self.prompts, self.sockets, self.faults = (
            nodes,
            folders,
            prompts,
            sockets,
            faults,
        )
        self.told = told
        self.cached_outputs = cached_outputs
        self.cache: dict[str, Result] = {}
        self.interrupted = threading.Event()
        self.ended = threading.Event()
        self.executed: list[str] = []
        """Ids of the prompts that began to run, in order."""
        self.node: str | None = None
        """The node that runs."""
        self.freed = 0

    def interrupt(self, prompt_id: str | None) -> bool:
        """Stop the running prompt if it is this one, or whichever runs; True if there was one."""
        running = self.prompts.running
        if running is None or prompt_id not in (None, running.id):
            return False
        if not self.faults.spend("lost_interrupts"):
            self.interrupted.set()
        return True

    def run(self) -> None:
        """Take prompts until the process ends."""
        while not self.ended.is_set():
            prompt = self.prompts.take(0.05, lambda: not self.faults.worker_dead)
            if prompt is None:
                self.ended.wait(0.02 if self.faults.worker_dead else 0)
                continue
            self.interrupted.clear()
            try:
                _Execution(self, prompt).run()
            except Ended:
                return


class _Execution:
    """One prompt being run; what nodes see as their Run."""

    def __init__(self, executor: Executor, prompt: Prompt) -> None:
        self.executor, self.prompt = executor, prompt
        self.folders = executor.folders
        self._messages: list[tuple[str, dict[str, Any]]] = []
        self._outputs: dict[str, Any] = {}
        self._meta: dict[str, Any] = {}
        self._states: dict[str, dict[str, Any]] = {}
        self._done: list[str] = []
        self._results: dict[str, Result] = {}
        self._node = ""
        self._signatures: dict[str, str] = {}
        self._out_of_memory = False

    def run(self) -> None:
        executor = self.executor
        executor.executed.append(self.prompt.id)
        self._out_of_memory = executor.faults.spend("out_of_memory")
        ok = self._execute()
        if executor.ended.wait(executor.faults.history_delay):
            raise Ended
        if executor.faults.spend("deleted_outputs"):
            self._delete_outputs()
        status = {
            "status_str": "success" if ok else "error",
            "completed": ok,
            "messages": [list(message) for message in self._messages],
        }
        outputs = self._outputs
        entry = {"prompt": self.prompt.item(), "outputs": outputs, "status": status, "meta": self._meta}
        keep = not executor.faults.spend("forgotten_histories")
        executor.node = None
        executor.cache = {
            signature: executor.cache[signature]
            for signature in self._signatures.values()
            if signature in executor.cache
        }
        executor.prompts.finish(self.prompt, entry if keep else None)
        if self.prompt.client_id is not None:
            self._send("executing", {"node": None, "prompt_id": self.prompt.id})

    def _execute(self) -> bool:
        self._event("execution_start")
        order = self._order()
        cached = [name for name in order if self._signature(name) in self.executor.cache]
        self._event("execution_cached", nodes=cached)
        try:
            for name in cached:
                self._reuse(name)
            for name in order:
                if name not in cached:
                    self._run_node(name)
        except Interrupted:
            self._event("execution_interrupted", broadcast=True, **self._failure())
            return False
        except Exception as error:  # whatever a node raises, as the server does
            self._event("execution_error", **self._failure(), **self._explain(error))
            return False
        self._event("execution_success")
        return True

    def _reuse(self, name: str) -> None:
        result = self._results[name] = self.executor.cache[self._signatures[name]]
        if result.shown is None:
            return
        if self.prompt.client_id is not None or self.executor.cached_outputs:
            self._show(name, result)
        self._state(name, 1, 1, "finished")

    def _run_node(self, name: str) -> None:
        self._node = self.executor.node = name
        node = self.executor.nodes[self.prompt.graph[name]["class_type"]]
        self._state(name, 0.0, 1.0, "running")
        self._to_client("executing", {"node": name, "display_node": name})
        self._look()
        if node.name in self.executor.faults.failing_nodes:
            raise ValueError(self.executor.faults.failing_nodes[node.name])
        if self._out_of_memory and node.required:
            self.executor.cache.clear()
            raise OutOfMemoryError("Allocation on device 0 would exceed allowed memory.")
        inputs = self._inputs(name, node)
        blocked = next((value for value in inputs.values() if isinstance(value, Blocked)), None)
        if blocked is not None:
            self._block(name, node, blocked)
            result = Result((blocked,) * len(node.output))
        else:
            result = node.run(self, **inputs)
            self.executor.cache[self._signatures[name]] = result
        self._results[name] = result
        if result.shown is not None:
            self._show(name, result)
        last = self._states.get(name, {"value": 1.0, "max": 1.0})
        self._state(name, last["max"], last["max"], "finished")
        self._done.append(name)

    def _inputs(self, name: str, node: Node) -> dict[str, Any]:
        found = {}
        specs = {**node.required, **node.optional}
        for key, value in self.prompt.graph[name].get("inputs", {}).items():
            if key not in specs:
                continue
            if isinstance(value, list):
                found[key] = self._results[str(value[0])].values[value[1]]
            else:
                kind = specs[key][0]
                literal = value["__value__"] if isinstance(value, dict) else value
                found[key] = int(literal) if kind == "INT" else float(literal) if kind == "FLOAT" else literal
        return found

    def _block(self, name: str, node: Node, blocked: Blocked) -> None:
        if node.output_node:
            data = {
                **self._failure(),
                "exception_message": f"Execution Blocked: {blocked}",
                "exception_type": "ExecutionBlocked",
                "traceback": [],
                "current_inputs": [],
                "current_outputs": [],
            }
            self._to_client("execution_error", data)

    def _order(self) -> list[str]:
        """Each node after those that it needs; among those that could run next, output nodes come first."""
        graph, nodes = self.prompt.graph, self.executor.nodes
        needs: dict[str, set[str]] = {}
        todo = list(self.prompt.outputs)
        while todo:
            name = todo.pop()
            values = graph[name].get("inputs", {}).values()
            needs[name] = {str(value[0]) for value in values if isinstance(value, list)}
            todo += [origin for origin in needs[name] if origin not in needs]
        order: list[str] = []
        while len(order) < len(needs):
            ready = [
                name for name in graph if name in needs and name not in order and needs[name] <= set(order)
            ]
            first = [name for name in ready if nodes[graph[name]["class_type"]].output_node]
            order.append((first or ready)[0])
        return order

    def _signature(self, name: str) -> str:
        node = self.prompt.graph[name]
        kind = self.executor.nodes[node["class_type"]]
        parts: dict[str, Any] = {"class": kind.name}
        for key, value in node.get("inputs", {}).items():
            parts[key] = [self._signatures[str(value[0])], value[1]] if isinstance(value, list) else value
        if kind.fingerprint:
            parts["*"] = kind.fingerprint(self.folders, node["inputs"])
        text = json.dumps(parts, sort_keys=True)
        self._signatures[name] = hashlib.sha256(text.encode()).hexdigest()
        return self._signatures[name]

    def _show(self, name: str, result: Result) -> None:
        self._outputs[name] = result.shown
        self._meta[name] = {
            "node_id": name,
            "display_node": name,
            "parent_node": None,
            "real_node_id": name,
        }
        self._to_client("executed", {"node": name, "display_node": name, "output": result.shown})

    def _failure(self) -> dict[str, Any]:
        kind = self.prompt.graph[self._node]["class_type"]
        return {"node_id": self._node, "node_type": kind, "executed": list(self._done)}

    def _explain(self, error: Exception) -> dict[str, Any]:
        kind = type(error).__name__
        return {
            "exception_message": str(error),
            "exception_type": f"torch.{kind}" if isinstance(error, OutOfMemoryError) else kind,
            "traceback": ['  File "/opt/comfyui/execution.py", line 545, in execute\n'],
            "current_inputs": {"secret": ["sk-inputs-are-private"]},
            "current_outputs": list(self._done),
        }

    def _delete_outputs(self) -> None:
        for shown in self._outputs.values():
            for item in shown.get("images", ()):
                (self.folders.folder(item["type"]) / item["subfolder"] / item["filename"]).unlink()

    def _event(self, kind: str, broadcast: bool = False, **data: Any) -> None:
        whole = {"prompt_id": self.prompt.id, **data, "timestamp": now()}
        self._messages.append((kind, whole))
        if self.prompt.client_id is not None or broadcast:
            self._send(kind, whole)

    def _to_client(self, kind: str, data: dict[str, Any]) -> None:
        if self.prompt.client_id is not None:
            self._send(kind, {**data, "prompt_id": self.prompt.id})

    def _send(self, kind: str, data: dict[str, Any]) -> None:
        self.executor.told(kind, data)
        if self.executor.ended.is_set():
            raise Ended
        self.executor.sockets.send(kind, data, self.prompt.client_id)

    def _state(self, name: str, value: float, total: float, state: str, display: str | None = None) -> None:
        self._states[name] = {
            "value": value,
            "max": total,
            "state": state,
            **self._ids(name, display),
        }
        self._send("progress_state", {"prompt_id": self.prompt.id, "nodes": dict(self._states)})

    def _ids(self, name: str, display: str | None = None) -> dict[str, Any]:
        return {
            "node_id": name,
            "prompt_id": self.prompt.id,
            "display_node_id": display or name,
            "parent_node_id": display,
            "real_node_id": display or name,
        }

    def _look(self) -> None:
        if self.executor.ended.is_set():
            raise Ended
        if self.executor.interrupted.is_set():
            self.executor.interrupted.clear()
            raise Interrupted

    # What nodes call.

    def progress(self, value: int, total: int) -> None:
        self._look()
        self._state(self._node, value, total, "running")
        data = {"value": value, "max": total, "prompt_id": self.prompt.id, "node": self._node}
        self._send("progress", data)

    def preview(self, image: Image) -> None:
        self.executor.sockets.preview(jpeg(image), self._ids(self._node), self.prompt.client_id)

    def text(self, words: str) -> None:
        self.executor.sockets.text(self._node, words, self.prompt.client_id)

    def wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.executor.ended.wait(left):
                raise Ended

    def inner(self, name: str) -> None:
        whole = f"{self._node}.{name}"
        self._state(whole, 0.0, 1.0, "running", display=self._node)
        self._to_client("executing", {"node": whole, "display_node": self._node})
        self._state(whole, 1.0, 1.0, "finished", display=self._node)

    def metadata(self) -> Mapping[str, Any]:
        extra = self.prompt.extra_data.get("extra_pnginfo") or {}
        return {"prompt": self.prompt.graph, **extra}
