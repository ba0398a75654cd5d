from __future__ import annotations

from pathlib import Path

import httpx2

from tests.server.served import Served, code_of, fields_of, served


def test_models_say_what_they_are(idle: Served) -> None:
    models = {entry["id"]: entry for entry in idle.client.get("models").json()}
    swapper = models["inswapper_128"]
    assert swapper["commercial_use"] is False
    assert swapper["installed"] is False
    assert swapper["licence"]


def test_a_download_is_a_job(idle: Served) -> None:
    job = idle.client.post("models/download", json={"models": ["inswapper_128", "inverter"]})
    assert job.status_code == 202, job.text
    assert job.json()["kind"] == "download"
    wrong = idle.client.post("models/download", json={"models": ["inswapper_129", "nothing"]})
    assert code_of(wrong) == (422, "model_unknown")
    assert fields_of(wrong) == {"models.0", "models.1"}


def test_only_what_was_downloaded_is_removed(idle: Served) -> None:
    assert code_of(idle.client.delete("models/inswapper_128")) == (404, "not_found")
    assert code_of(idle.client.delete("models/no/such")) == (404, "not_found")
    store = idle.service.engine.models
    file = store.folder / store.catalogue["inswapper_128"].files[0].name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"part")
    assert idle.client.delete("models/inswapper_128").status_code == 204
    assert not file.exists()


def test_who_is_no_administrator_brings_and_removes_nothing(tmp_path: Path) -> None:
    with served(tmp_path, works=False, auth="on", allow_model_downloads=False) as guarded:

        def keyed(*scopes: str) -> httpx2.Client:
            key = guarded.service.keys.create("test", scopes).token
            headers = {"X-Api-Key": key}
            return httpx2.Client(
                base_url=guarded.client.base_url, headers=headers, timeout=60, trust_env=False
            )

        body = {"models": ["inswapper_128"]}
        with keyed("submit", "read") as user, keyed("admin") as operator:
            assert code_of(user.post("models/download", json=body)) == (403, "forbidden")
            assert code_of(user.delete("models/inswapper_128")) == (403, "forbidden")
            refused = operator.post("models/download", json=body)
            assert code_of(refused) == (403, "forbidden")
            assert "MIEN_ALLOW_MODEL_DOWNLOADS" in refused.text
