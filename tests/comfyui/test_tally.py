import json
import struct
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mien.comfyui.tally import Tally
from tests.comfyui.graphs import steps

MINE = "44444444-4444-4444-8444-444444444444"


def state(value: float, top: float, state: str = "running") -> dict[str, Any]:
    return {"value": value, "max": top, "state": state}


def message(kind: str, **data: Any) -> dict[str, Any]:
    return {"type": kind, "data": {"prompt_id": MINE, **data}}


def test_done_counts_finished_nodes_and_a_part_of_the_running_one() -> None:
    tally = Tally(steps(), MINE)
    tally.take(message("execution_cached", nodes=["1"]))
    tally.take(message("progress_state", nodes={"1": state(1, 1, "finished"), "2": state(1, 4)}))
    tally.take(message("executing", node="2"))
    progress = tally.progress()
    assert (progress.node, progress.done, progress.total, progress.share) == ("ProbeSteps", 0.25, 2, 0.125)


def test_it_never_falls_and_the_share_stays_below_one() -> None:
    tally = Tally(steps(), MINE)
    everything = {name: state(1, 1, "finished") for name in steps()}
    tally.take(message("progress_state", nodes=everything))
    assert tally.progress().done == 3
    tally.take(message("progress_state", nodes={"1": state(0, 1)}))
    assert tally.progress().done == 3
    assert tally.progress().share < 1


def test_nodes_of_subgraphs_do_not_count_and_are_called_by_their_parent() -> None:
    tally = Tally(steps(), MINE)
    tally.take(message("progress_state", nodes={"2.0.0.1": state(1, 1, "finished"), "2": state(0, 1)}))
    tally.take(message("executing", node="2.0.0.1", display_node="2"))
    assert tally.progress().done == 0
    assert tally.progress().node == "ProbeSteps"


def test_a_blocked_branch_is_not_the_end() -> None:
    tally = Tally(steps(), MINE)
    tally.take(
        message("execution_error", exception_type="ExecutionBlocked", node_id="3", exception_message="no")
    )
    assert tally.blocked == ("3", "no")
    assert not tally.ended
    tally.take(message("executing", node=None))
    assert tally.ended


def test_messages_of_others_are_passed_over() -> None:
    tally = Tally(steps(), MINE)
    tally.take({"type": "execution_success", "data": {"prompt_id": "other"}})
    tally.take({"type": "execution_interrupted", "data": {}})
    assert not tally.started
    tally.take({"type": "executing", "data": {"node": "2"}})  # after opening, for the submitter only
    assert tally.progress().node == "ProbeSteps"


def test_previews_of_both_layouts() -> None:
    tally = Tally(steps(), MINE)
    tally.take_frame(struct.pack(">II", 1, 1) + b"early")
    assert tally.progress().preview is None
    tally.take(message("execution_start"))
    tally.take_frame(struct.pack(">II", 1, 2) + b"png")
    assert (tally.progress().preview, tally.progress().preview_type) == (b"png", "image/png")
    for prompt, seen in ((MINE, b"jpeg"), ("other", b"jpeg")):
        head = json.dumps({"prompt_id": prompt, "image_type": "image/jpeg"}).encode()
        tally.take_frame(
            struct.pack(">II", 4, len(head)) + head + (b"jpeg" if prompt == MINE else b"foreign")
        )
        assert tally.progress().preview == seen


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["nodes", "node", "1", "max"]), inner)
    ),
    max_leaves=8,
)
kinds = st.sampled_from(
    ["executing", "progress_state", "execution_cached", "execution_error", "progress", "odd"]
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(kinds, st.dictionaries(st.sampled_from(["nodes", "node", "x"]), json_values))),
    st.binary(),
)
def test_odd_messages_do_no_harm(messages: list[tuple[str, dict[str, Any]]], frame: bytes) -> None:
    tally = Tally(steps(), MINE)
    last = 0.0
    for kind, data in messages:
        tally.take({"type": kind, "data": {"prompt_id": MINE, **data}})
        tally.take(data)
        assert last <= tally.progress().done <= tally.progress().total
        last = tally.progress().done
    for kind in (b"", struct.pack(">I", 1), struct.pack(">I", 4), struct.pack(">I", 3)):
        tally.take_frame(kind + frame)
