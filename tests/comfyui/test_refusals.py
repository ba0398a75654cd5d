from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.comfyui.refusals import failure, refused, tidy, was_interrupted
from mien.errors import NodeFailed, OutOfMemory
from tests.comfyui.graphs import node, steps


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("probe failure at step 2\n  File x", "probe failure at step 2"),
        ("cannot open /home/someone/models/a.ckpt now", "cannot open … now"),
        (r"cannot open C:\Users\someone\a.ckpt", "cannot open …"),
        ("GET https://host/secret?key=1 failed", "GET … failed"),
        ("bad key sk-abcdef123456", "bad key …"),
        ("token eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "token …"),
        ("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)",) * 2,
    ],
)
def test_messages_lose_what_is_private(said: str, shown: str) -> None:
    assert tidy(said) == shown


@given(st.text())
def test_messages_are_one_short_line(said: str) -> None:
    assert len(tidy(said)) <= 200
    assert "\n" not in tidy(said)


def answer(kind: str, **extra: Any) -> dict[str, Any]:
    error = {
        "type": kind,
        "message": "m",
        "details": "/opt/x/y",
        "extra_info": {"input_name": "width", **extra},
    }
    return {"node_errors": {"1": {"errors": [error], "class_type": "EmptyImage", "dependent_outputs": ["3"]}}}


@pytest.mark.parametrize(
    ("kind", "extra", "words"),
    [
        ("required_input_missing", {}, "is missing"),
        ("value_bigger_than_max", {"input_config": ["INT", {"max": 9}]}, "is too large: at most 9"),
        ("value_not_in_list", {"input_config": None}, "is not one of the values"),
        ("something_new", {}, "is not accepted"),
        ("exception_during_validation", {"traceback": ["File /opt/comfyui/x.py"]}, "cannot be checked"),
    ],
)
def test_each_problem_names_input_and_node(kind: str, extra: dict[str, Any], words: str) -> None:
    sentence = str(refused(answer(kind, **extra), steps()))
    assert f"width of EmptyImage (node 1) {words}" in sentence
    assert "/opt" not in sentence


def test_many_problems_are_counted() -> None:
    graph = {str(number): node("EmptyImage") for number in range(8)}
    errors = answer("required_input_missing")["node_errors"]["1"]
    assert "and 3 more" in str(refused({"node_errors": dict.fromkeys(graph, errors)}, graph))


def test_a_refusal_of_the_whole_graph() -> None:
    error = {"type": "prompt_no_outputs", "message": "Prompt has no outputs", "extra_info": {}}
    assert "has no output node" in str(refused({"error": error, "node_errors": {}}, {}))
    assert "gives no reason" in str(refused({"error": "text"}, {}))


def entry(kind: str, **data: Any) -> dict[str, Any]:
    return {"status": {"status_str": "error", "messages": [["execution_start", {}], [kind, data]]}}


def test_failures_are_told_apart() -> None:
    known = {"node_id": "2.0.0.1", "traceback": ["/opt/x"], "current_inputs": {"a": ["secret"]}}
    memory = failure(entry("execution_error", exception_type="torch.OutOfMemoryError", **known), steps())
    assert isinstance(memory, OutOfMemory)
    other = failure(
        entry("execution_error", exception_type="ValueError", exception_message="bad.", **known), steps()
    )
    assert isinstance(other, NodeFailed)
    assert str(other) == "ProbeSteps (node 2.0.0.1) failed with ValueError: bad."
    assert was_interrupted(entry("execution_interrupted"))
    assert not was_interrupted(entry("execution_error"))
