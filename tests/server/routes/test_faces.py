from __future__ import annotations

import json
from pathlib import Path

from tests.media.clips import make_clip
from tests.server.served import Served, code_of, face_png, fields_of


def test_faces_of_an_upload_and_of_an_asset_are_the_same(idle: Served) -> None:
    upload = idle.client.post("faces/detect", files={"file": ("a.png", face_png())}, data={"crops": "true"})
    asset = idle.client.post("faces/detect", json={"asset": idle.upload(), "crops": True})
    assert upload.status_code == asset.status_code == 200
    assert upload.json() == asset.json()
    (face,) = asset.json()["faces"]
    assert (face["id"], face["box"]) == ("f0-8-6-20-18", [8.0, 6.0, 20.0, 18.0])
    assert face["crop"].startswith("data:image/jpeg;base64,/9j/")
    assert len(face["landmarks"]["68"]) == 68


def test_only_options_of_faces_are_taken(idle: Served) -> None:
    asset = idle.upload()
    wrong = {"face_detector_score": 7, "output_image_quality": 3}
    answer = idle.client.post("faces/detect", json={"asset": asset, "options": wrong})
    assert fields_of(answer) == {"options.face_detector_score", "options.output_image_quality"}
    good = {"asset": asset, "options": {"face_selector_order": "left-right"}}
    assert idle.client.post("faces/detect", json=good).status_code == 200


def test_what_is_no_picture_or_not_there_is_refused(idle: Served) -> None:
    assert code_of(idle.client.post("faces/detect", json={"asset": "0" * 64})) == (404, "asset_missing")
    assert code_of(idle.client.post("faces/detect", data={"frame": "0"}))[0] == 422
    text = idle.client.post("faces/detect", files={"file": ("a.png", b"no picture at all")})
    assert code_of(text)[0] in (415, 422)
    assert code_of(
        idle.client.post("faces/detect", content=b"{", headers={"Content-Type": "application/json"})
    ) == (
        422,
        "invalid_input",
    )
    asset = {"asset": idle.upload(), "frame": -1}
    assert fields_of(idle.client.post("faces/detect", json=asset)) == {"frame"}


def test_a_timeline_is_one_look_a_line(idle: Served, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=50)
    asset = idle.client.post("assets", files={"file": ("clip.mp4", clip.read_bytes())}).json()["id"]
    answer = idle.client.post("faces/timeline", json={"asset": asset, "every": 0.5})
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    looks = [json.loads(line) for line in answer.text.splitlines()]
    assert [look["frame"] for look in looks] == sorted({look["frame"] for look in looks})
    assert len(looks) >= 3
    assert all(look["thumbnail"].startswith("data:image/jpeg") for look in looks)
    bare = idle.client.post("faces/timeline", json={"asset": asset, "thumbnails": False})
    assert json.loads(bare.text.splitlines()[0])["thumbnail"] is None
    assert code_of(idle.client.post("faces/timeline", json={"asset": "0" * 64})) == (404, "asset_missing")
