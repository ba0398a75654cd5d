"""What a submitted graph is refused for, in the server's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mien.testing.comfyui.files import Folders
from mien.testing.comfyui.nodes import Input, Node

Graph = Mapping[str, Any]
Error = dict[str, Any]


class Refused(Exception):
    """The whole graph is refused; ``body`` is the answer."""

    def __init__(self, error: Error, node_errors: Mapping[str, Any] | None = None) -> None:
        super().__init__(error["type"])
        self.body = {"error": error, "node_errors": dict(node_errors or {})}


def refusal(kind: str, message: str, details: str = "", **extra: Any) -> Refused:
    """A refusal without errors of single nodes."""
    return Refused({"type": kind, "message": message, "details": details, "extra_info": extra})


class Validator:
    """Checks one graph."""

    def __init__(self, graph: Graph, nodes: Mapping[str, Node], folders: Folders, strict: bool) -> None:
        self._graph = graph
        self._nodes = nodes
        self._folders = folders
        self._strict = strict
        self._errors: dict[str, list[Error]] = {}
        self._valid: dict[str, bool] = {}
        self._path: list[str] = []

    def outputs(self, targets: Sequence[str] | None) -> tuple[list[str], dict[str, Any]]:
        """The output nodes that will run, and errors of those that will not; raises Refused if none will."""
        self._check_classes()
        found = [name for name, node in self._graph.items() if self._nodes[node["class_type"]].output_node]
        if targets is not None:
            found = [name for name in found if name in targets]
        if not found:
            raise refusal("prompt_no_outputs", "Prompt has no outputs")
        good = []
        node_errors: dict[str, Any] = {}
        for output in found:
            if self._guarded(output):
                good.append(output)
            for name, errors in self._errors.items():
                if errors and self._needs(output, name):
                    entry = node_errors.setdefault(
                        name,
                        {"errors": errors, "dependent_outputs": [], "class_type": self._class_name(name)},
                    )
                    if output not in entry["dependent_outputs"]:
                        entry["dependent_outputs"].append(output)
        if not good:
            lines = [
                f"{error['message']}: {error['details']}"
                for name in found
                for error in self._errors.get(name, ())
            ]
            kind = "prompt_outputs_failed_validation"
            error = {
                "type": kind,
                "message": "Prompt outputs failed validation",
                "details": "\n".join(lines),
                "extra_info": {},
            }
            raise Refused(error, node_errors)
        return good, node_errors

    def _check_classes(self) -> None:
        for name, node in self._graph.items():
            kind, title = node.get("class_type"), node.get("_meta", {}).get("title")
            if kind in self._nodes:
                continue
            shown = title or (kind if kind else f"ID #{name}")
            why = "not found. The custom node may not be installed."
            if kind is None:
                why = "has no class_type. The workflow may be corrupted or a custom node is missing."
            extra = {"node_id": name, "class_type": kind, "node_title": title}
            if not self._strict:
                raise refusal(
                    "invalid_prompt", "Cannot execute because a node is missing.", f"Node ID '#{name}'"
                )
            raise refusal("missing_node_type", f"Node '{shown}' {why}", f"Node ID '#{name}'", **extra)

    def _class_name(self, name: str) -> str:
        return str(self._graph[name]["class_type"])

    def _needs(self, output: str, name: str) -> bool:
        seen, todo = set(), [output]
        while todo:
            one = todo.pop()
            if one == name:
                return True
            if one in seen or one not in self._graph:
                continue
            seen.add(one)
            todo += [
                str(value[0])
                for value in self._graph[one].get("inputs", {}).values()
                if isinstance(value, list) and len(value) == 2
            ]
        return False

    def _guarded(self, output: str) -> bool:
        try:
            return self._check(output)
        except KeyError as error:
            self._path.clear()
            extra = {
                "exception_type": "KeyError",
                "traceback": ['  File "/opt/comfyui/execution.py", line 1\n'],
            }
            self._errors.setdefault(output, []).append(
                {
                    "type": "exception_during_validation",
                    "message": "Exception when validating node",
                    "details": str(error),
                    "extra_info": extra,
                }
            )
            return False

    def _check(self, name: str) -> bool:
        if name in self._path:
            self._cycle(name)
            return False
        if name in self._valid:
            return self._valid[name]
        node = self._nodes[self._class_name(name)]
        inputs = self._graph[name]["inputs"]
        errors = self._errors.setdefault(name, [])
        self._path.append(name)
        whole = True
        for key, spec in [*node.required.items(), *node.optional.items()]:
            if key not in inputs:
                if key in node.required:
                    errors.append(_error("required_input_missing", "Required input is missing", key, key))
                continue
            whole &= self._check_input(name, node, key, spec, inputs[key])
        if not errors and node.check and (why := node.check(self._folders, inputs)):
            errors.append(
                _error(
                    "custom_validation_failed", "Custom validation failed for node", why, why.split(" ")[0]
                )
            )
        if self._path:
            self._path.pop()
        self._valid[name] = whole and not errors
        return self._valid[name]

    def _check_input(self, name: str, node: Node, key: str, spec: Input, value: Any) -> bool:
        errors = self._errors[name]
        if isinstance(value, list):
            if len(value) != 2:
                message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
                errors.append(
                    _error("bad_linked_input", message, key, key, input_config=spec, received_value=value)
                )
                return False
            return self._check_link(name, key, spec, value)
        literal = value.get("__value__") if isinstance(value, dict) else value
        error = _literal_error(key, spec, literal, key in node.unchecked)
        if error is not None:
            errors.append(error)
        return error is None

    def _check_link(self, name: str, key: str, spec: Input, value: list[Any]) -> bool:
        origin = str(value[0])
        if origin not in self._graph:
            raise KeyError(origin)
        given = self._nodes[self._class_name(origin)].output[value[1]]
        wanted = "COMBO" if isinstance(spec[0], list) else spec[0]
        if "*" not in (given, wanted) and given != wanted:
            self._errors[name].append(
                _error(
                    "return_type_mismatch",
                    "Return type mismatch between linked nodes",
                    f"{key}, received_type({given}) mismatch input_type({wanted})",
                    key,
                    input_config=spec,
                    received_type=given,
                    linked_node=value,
                )
            )
            return False
        return self._check(origin)

    def _cycle(self, name: str) -> None:
        ring = self._path[self._path.index(name) :]
        words = " -> ".join(f"{one} ({self._class_name(one)})" for one in [*ring, name])
        for one in ring if self._strict else ring[:1]:
            self._errors.setdefault(one, []).append(
                {
                    "type": "dependency_cycle" if self._strict else "exception_during_validation",
                    "message": "Dependency cycle detected",
                    "details": words,
                    "extra_info": {"node_id": one, "cycle_nodes": ring},
                }
            )


def _error(kind: str, message: str, details: str, name: str, **extra: Any) -> Error:
    return {
        "type": kind,
        "message": message,
        "details": details,
        "extra_info": {"input_name": name, **extra},
    }


_CONVERT = {"INT": int, "FLOAT": float, "STRING": str, "BOOLEAN": bool}


def _literal_error(key: str, spec: Input, value: Any, unchecked: bool) -> Error | None:
    kind, config = spec[0], spec[1] if len(spec) > 1 else {}
    if isinstance(kind, list):
        if unchecked or value in kind:
            return None
        shown = spec if len(kind) <= 20 else None
        details = f"{key}: '{value}' not in {kind if shown else f'(list of length {len(kind)})'}"
        return _error(
            "value_not_in_list", "Value not in list", details, key, input_config=shown, received_value=value
        )
    known = {"input_config": spec, "received_value": value}
    if kind in _CONVERT:
        try:
            value = _CONVERT[kind](value)
        except (TypeError, ValueError) as error:
            message = f"Failed to convert an input value to a {kind} value"
            details = f"{key}, {known['received_value']}, {error}"
            return _error("invalid_input_type", message, details, key, **known, exception_message=str(error))
    if kind in ("INT", "FLOAT"):
        known["received_value"] = value
        if "min" in config and value < config["min"]:
            message = f"Value {value} smaller than min of {config['min']}"
            return _error("value_smaller_than_min", message, key, key, **known)
        if "max" in config and value > config["max"]:
            message = f"Value {value} bigger than max of {config['max']}"
            return _error("value_bigger_than_max", message, key, key, **known)
    return None
