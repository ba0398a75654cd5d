from __future__ import annotations

from pathlib import Path

from mien.options import declared
from mien.pipeline.output_options import GROUPS
from tests.server.served import Served, served


def test_all_that_can_be_asked_for_is_described(idle: Served) -> None:
    document = idle.client.get("capabilities").json()
    keys = {option["key"] for group in document["option_groups"] for option in group["options"]}
    assert keys == {item.key for group in GROUPS for item in declared(group)} - {"consent_ref"}
    names = [group["name"] for group in document["option_groups"]]
    assert len(names) == len(set(names))
    inverter = next(entry for entry in document["processors"] if entry["name"] == "inverter")
    strength = inverter["options"][0]
    assert strength["key"] == "inverter_strength"
    assert (strength["type"], strength["minimum"], strength["maximum"], strength["default"]) == (
        "integer",
        0,
        255,
        255,
    )
    assert inverter["needs"] == {"source": None, "faces": False}
    assert document["processors"] == idle.client.get("processors").json()
    assert "png" in document["formats"]["image"]
    assert document["limits"]["max_steps"] == 20


def test_what_the_operator_fixed_is_marked(idle: Served, tmp_path: Path) -> None:
    def locked(of: Served) -> dict[str, bool]:
        groups = of.client.get("capabilities").json()["option_groups"]
        return {option["key"]: option["locked"] for group in groups for option in group["options"]}

    assert {key for key, fixed in locked(idle).items() if fixed} == {"output_marking", "content_policy"}
    free = {"marking_required": False, "content_policy": "off", "require_consent": True}
    with served(tmp_path, works=False, engine={"allow_noncommercial": False}, **free) as other:
        assert not any(locked(other).values())
        document = other.client.get("capabilities").json()
        assert document["policy"]["require_consent"] is True
        refused = [entry for entry in document["models_licences"] if not entry["allowed"]]
        assert refused
        assert not any(entry["commercial_use"] for entry in refused)
