from __future__ import annotations

from tests.server.served import Served, code_of


def test_results_are_files_with_ranges(working: Served) -> None:
    job = working.submit(processors=["inverter"], target=working.upload())
    (result,) = working.wait(job["id"])["results"]
    place = f"jobs/{job['id']}/result"
    whole = working.client.get(place)
    assert whole.headers["content-type"] == "image/png"
    assert len(whole.content) == result["size"]
    part = working.client.get(place, headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")
    head = working.client.head(place)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(result["size"]), b"")
    saved = working.client.get(place, params={"download": 1})
    assert saved.headers["content-disposition"].startswith("attachment")
    assert working.client.get(place, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    beyond = working.client.get(place, headers={"Range": "bytes=99999999-"})
    assert beyond.status_code == 416
    assert code_of(working.client.get(place, params={"index": 1})) == (404, "asset_missing")
