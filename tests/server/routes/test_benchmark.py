from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from mien.models import load_catalogue
from mien.pipeline.benchmark import SOURCE, TARGET
from tests.server.served import Served, code_of, face_png, fields_of, served


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service that runs its jobs, with stand-ins for the two portraits."""
    folder = tmp_path_factory.mktemp("service")
    models = folder / "cache" / "models"
    models.mkdir(parents=True)
    for id in (SOURCE, TARGET):
        models.joinpath(load_catalogue()[id].files[0].name).write_bytes(face_png())
    with served(folder, poll_seconds=0.02, engine={"models_verify": False}) as found:
        yield found


def test_sizes_are_measured_one_after_the_other(bench: Served) -> None:
    body = {
        "resolutions": ["360p", "240p", "360p"],
        "cycles": 2,
        "processors": ["inverter"],
        "options": {"inverter_strength": 200},
    }
    taken = bench.client.post("benchmark", json=body)
    assert taken.status_code == 202, taken.text
    assert taken.headers["location"].endswith(taken.json()["id"])
    job = bench.wait(taken.json()["id"])
    assert (job["status"], job["kind"]) == ("completed", "benchmark"), job["failure"]
    assert [step["options"]["benchmark_resolutions"] for step in job["steps"]] == ["360p", "240p"]
    assert [step["frames"] for step in job["steps"]] == [100, 100]
    report = bench.client.get(f"jobs/{job['id']}/result").json()
    assert [row["target_path"] for row in report["results"]] == ["clip-360p.mp4", "clip-240p.mp4"]
    for row in report["results"]:
        assert (row["cycle_count"], row["frames"]) == (2, 50)
        assert 0 < row["fastest_run"] <= row["average_run"] <= row["slowest_run"]
        assert row["first_run"] > 0
        assert row["relative_fps"] > 0
    assert report["mode"] == "warm"
    assert report["processors"] == ["inverter"]
    assert report["machine"]["threads"] == 1
    events = bench.client.get(f"jobs/{job['id']}/log").text
    assert events.count("relative_fps") == 2


def test_a_run_that_fails_is_no_fast_run(bench: Served) -> None:
    job = bench.client.post("benchmark", json={"processors": ["failing"], "cycles": 1}).json()
    ended = bench.wait(job["id"])
    assert (ended["status"], ended["results"]) == ("failed", [])
    assert ended["failure"]["step"] == 0


def test_one_can_be_canceled_and_goes_on_where_it_was(bench: Served) -> None:
    body = {
        "resolutions": ["240p"],
        "cycles": 10,
        "processors": ["inverter"],
        "options": {"inverter_delay": 0.05},
    }
    id = bench.client.post("benchmark", json=body).json()["id"]
    bench.wait(id, "running")
    assert bench.client.post(f"jobs/{id}/cancel").status_code in (200, 202)
    assert bench.wait(id)["status"] == "canceled"
    assert bench.client.post(f"jobs/{id}/retry").status_code in (200, 202)
    bench.wait(id, "running")
    bench.client.post(f"jobs/{id}/cancel")
    assert bench.wait(id)["status"] == "canceled"


def test_a_request_that_is_wrong_names_its_fields(bench: Served) -> None:
    post = bench.client.post
    assert fields_of(post("benchmark", json={"resolutions": ["100p"]})) == {"resolutions.0"}
    assert code_of(post("benchmark", json={"resolutions": []}))[0] == 422
    assert code_of(post("benchmark", json={"cycles": 11}))[0] == 422
    assert fields_of(post("benchmark", json={"processors": ["sculptor"]})) == {"processors.0"}
    own = {"processors": ["inverter"], "options": {"background_remover_picture": "a" * 64}}
    wrong = post("benchmark", json=own)
    assert fields_of(wrong) == {"options.background_remover_picture"}
    assert fields_of(post("benchmark", json={"options": {"nothing": 1}, "processors": ["inverter"]})) == {
        "options.nothing"
    }


def test_it_is_for_administrators(tmp_path: Path) -> None:
    with served(tmp_path, works=False, auth="on") as guarded:
        for scopes, status in ((("submit", "read"), 403), (("admin",), 202)):
            headers = {"X-Api-Key": guarded.service.keys.create("test", scopes).token}
            with httpx2.Client(
                base_url=guarded.client.base_url, headers=headers, timeout=60, trust_env=False
            ) as client:
                body = {"processors": ["inverter"]}
                assert client.post("benchmark", json=body).status_code == status


def test_one_that_is_sent_twice_is_one_job(tmp_path: Path) -> None:
    with served(tmp_path, works=False) as idle:
        body, key = {"processors": ["inverter"]}, {"Idempotency-Key": "one"}
        first = idle.client.post("benchmark", json=body, headers=key)
        second = idle.client.post("benchmark", json=body, headers=key)
        assert first.json()["id"] == second.json()["id"]
        assert second.headers["Idempotency-Replayed"] == "true"


def test_sound_is_not_measured(tmp_path: Path) -> None:
    with served(tmp_path, works=False, processors=None) as real:
        refused = real.client.post("benchmark", json={"processors": ["lip_syncer"]})
        assert fields_of(refused) == {"processors"}
