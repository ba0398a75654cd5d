"""Small graphs for the fake."""

from typing import Any


def node(kind: str, title: str | None = None, **inputs: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"class_type": kind, "inputs": inputs}
    return made | ({"_meta": {"title": title}} if title else {})


def empty(color: int = 8000) -> dict[str, Any]:
    return node("EmptyImage", width=64, height=48, batch_size=1, color=color)


def steps(count: int = 3, delay: float = 0.02, **more: Any) -> dict[str, Any]:
    """A picture, some timed steps, a saved file."""
    wanted = {"image": ["1", 0], "steps": count, "delay": delay, "fail_at": -1, "preview": True, "salt": 0}
    return {
        "1": empty(),
        "2": node("ProbeSteps", **(wanted | more)),
        "3": node("SaveImage", images=["2", 0], filename_prefix="x"),
    }


def deaf(seconds: float, salt: int = 0) -> dict[str, Any]:
    """A node that never looks at the interrupt flag, before the one that saves."""
    return {
        "1": empty(),
        "2": node("ProbeStubborn", image=["1", 0], seconds=seconds, salt=salt),
        "3": node("SaveImage", images=["2", 0], filename_prefix="x"),
    }
