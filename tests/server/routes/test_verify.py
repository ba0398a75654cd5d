from __future__ import annotations

from tests.server.served import Served, code_of, face_png


def test_a_result_says_how_it_was_made_and_an_upload_does_not(working: Served) -> None:
    made = working.client.post(
        "process", files={"target": ("a.png", face_png())}, data={"processors": "marker"}
    )
    found = working.client.post("verify", files={"file": ("result.png", made.content)}).json()
    assert found["verdict"] == "marked"
    assert found["marks"]["operations"] == ["marker"]
    assert found["sentences"][0] == "result.png says how it was made."
    plain = working.client.post("verify", json={"asset": working.upload()}).json()
    assert plain["verdict"] == "unmarked"


def test_what_is_missing_or_said_twice_is_refused(working: Served) -> None:
    assert code_of(working.client.post("verify", json={"asset": "0" * 64})) == (404, "asset_missing")
    both = {"asset": "0" * 64, "url": "https://example.org/a.png"}
    assert code_of(working.client.post("verify", json=both)) == (422, "invalid_input")
    assert code_of(working.client.post("verify", json={})) == (422, "invalid_input")
    assert code_of(working.client.post("verify", json={"url": "https://127.0.0.1/a.png"})) == (
        422,
        "unsafe_input",
    )
