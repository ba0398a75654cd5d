from __future__ import annotations

import hashlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from mien.server.app import create_app
from mien.service.service import Service, open_service
from mien.service.settings import ServiceSettings
from mien.settings import Settings
from mien.storage import StorageSettings
from tests.media.clips import make_clip
from tests.server.running import running
from tests.service.conftest import picture


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    settings = ServiceSettings(data_dir=tmp_path_factory.mktemp("data"), max_upload_mb=1, auth="on")
    with open_service(settings, Settings(), StorageSettings()) as service:
        yield service


@pytest.fixture(scope="module")
def anonymous(service: Service) -> Iterator[httpx2.Client]:
    with running(create_app(service)) as client:
        yield client


def keyed(client: httpx2.Client, service: Service, *scopes: str) -> httpx2.Client:
    made = service.keys.create("test", scopes)
    headers = {"Authorization": f"Bearer {made.token}"}
    return httpx2.Client(base_url=client.base_url, headers=headers, timeout=60, trust_env=False)


@pytest.fixture
def client(anonymous: httpx2.Client, service: Service) -> Iterator[httpx2.Client]:
    """A client with a key of its own, to which nothing belongs yet."""
    with keyed(anonymous, service, "submit", "read") as client:
        yield client


@pytest.fixture
def stranger(anonymous: httpx2.Client, service: Service) -> Iterator[httpx2.Client]:
    with keyed(anonymous, service, "submit", "read") as client:
        yield client


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=30).read_bytes()


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def scratch(service: Service) -> list[Path]:
    folder = service.assets.scratch
    return list(folder.iterdir()) if folder.exists() else []


def test_a_file_comes_in_by_form_or_as_it_is_and_is_one_asset(client: httpx2.Client) -> None:
    sent = client.post("/assets", files={"file": ("../My face.png", picture(), "text/html")})
    assert sent.status_code == 201
    asset = sent.json()
    assert asset["id"] == hashlib.sha256(picture()).hexdigest()
    assert (asset["name"], asset["kind"], asset["content_type"]) == ("My face.png", "image", "image/png")
    assert (asset["width"], asset["height"], asset["duration"], asset["fps"]) == (8, 6, None, None)
    assert sent.headers["location"] == f"/api/v1/assets/{asset['id']}"
    raw = client.post("/assets?name=b.png", content=picture(), headers={"Content-Type": "image/png"})
    assert raw.status_code == 201
    assert raw.json()["id"] == asset["id"]
    assert client.get(sent.headers["location"].removeprefix("/api/v1")).json() == raw.json()
    listed = client.get("/assets").json()
    assert [item["id"] for item in listed["assets"]] == [asset["id"]]
    assert listed["next_cursor"] is None


def test_the_content_comes_back_whole_in_ranges_or_not_at_all(client: httpx2.Client, clip: bytes) -> None:
    asset = client.post("/assets?name=Zoë's clip.mp4", content=clip).json()
    place = f"/assets/{asset['id']}/content"
    whole = client.get(place)
    assert whole.content == clip
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["etag"] == f'"{asset["id"]}"'
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["content-disposition"].startswith(
        "inline; filename=\"Zo_'s clip.mp4\"; filename*=UTF-8''"
    )
    assert client.get(place, params={"download": 1}).headers["content-disposition"].startswith("attachment;")

    head = client.head(place)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(clip))

    size = len(clip)
    for asked, start, end in (
        ("bytes=0-9", 0, 10),
        ("bytes=5-", 5, size),
        ("bytes=-7", size - 7, size),
        (f"bytes=3-{size * 2}", 3, size),
        (f"bytes=-{size * 2}", 0, size),
    ):
        part = client.get(place, headers={"Range": asked})
        assert part.status_code == 206, asked
        assert part.content == clip[start:end]
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
        assert part.headers["content-length"] == str(end - start)
    for asked in ("bytes=9-3", "bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=x-"):
        assert client.get(place, headers={"Range": asked}).status_code == 200, asked
    for asked in (f"bytes={size}-", "bytes=-0"):
        behind = client.get(place, headers={"Range": asked})
        assert code(behind) == (416, "range_not_satisfiable")
        assert behind.headers["content-range"] == f"bytes */{size}"

    known = client.get(place, headers={"If-None-Match": f'"x", W/"{asset["id"]}"'})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", f'"{asset["id"]}"')
    other = client.get(place, headers={"Range": "bytes=0-1", "If-Range": '"other"'})
    assert (other.status_code, len(other.content)) == (200, size)
    same = client.get(place, headers={"Range": "bytes=0-1", "If-Range": f'"{asset["id"]}"'})
    assert same.status_code == 206


def test_thumbnails(client: httpx2.Client, clip: bytes) -> None:
    id = client.post("/assets?name=a.mp4", content=clip).json()["id"]
    small = client.get(f"/assets/{id}/thumbnail", params={"size": 64, "frame": 29})
    assert (small.status_code, small.headers["content-type"]) == (200, "image/jpeg")
    assert small.content.startswith(b"\xff\xd8\xff")
    assert code(client.get(f"/assets/{id}/thumbnail?frame=30")) == (422, "invalid_option")
    assert code(client.get(f"/assets/{id}/thumbnail?size=9999")) == (422, "invalid_input")


def test_what_is_somebody_elses_is_not_there(client: httpx2.Client, stranger: httpx2.Client) -> None:
    id = client.post("/assets", content=picture(3)).json()["id"]
    for method, place in (
        ("GET", f"/assets/{id}"),
        ("GET", f"/assets/{id}/content"),
        ("GET", f"/assets/{id}/thumbnail"),
        ("DELETE", f"/assets/{id}"),
    ):
        assert code(stranger.request(method, place)) == (404, "asset_missing")
    assert stranger.get("/assets").json()["assets"] == []
    assert client.delete(f"/assets/{id}").status_code == 204
    assert code(client.get(f"/assets/{id}")) == (404, "asset_missing")


def test_keys_are_needed_and_their_scopes_count(anonymous: httpx2.Client, service: Service) -> None:
    assert code(anonymous.get("/assets")) == (401, "unauthorized")
    assert code(anonymous.post("/assets", content=picture())) == (401, "unauthorized")
    with keyed(anonymous, service, "read") as reader:
        assert code(reader.post("/assets", content=picture())) == (403, "forbidden")
        assert reader.get("/assets").status_code == 200


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        ({"content": b""}, 422, "corrupt_media"),
        ({"content": b"#EXTM3U\nfile:///etc/passwd"}, 422, "unsafe_input"),
        ({"content": b"x" * (1 << 20) + b"y"}, 413, "upload_too_large"),
        ({"content": b"<svg/>", "headers": {"Content-Type": "image/svg+xml"}}, 415, "unsupported_media"),
        ({"files": {"file": ("a.png", b"\x89PNG\r\n\x1a\n")}}, 422, "corrupt_media"),
        ({"files": {"file": ("big.png", b"x" * (1 << 20) + b"y")}}, 413, "upload_too_large"),
        ({"files": [("file", ("a.png", picture())), ("file", ("b.png", picture()))]}, 422, "invalid_input"),
        ({"data": {"name": "x"}, "files": {}}, 422, "invalid_input"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 422, "invalid_input"),
        ({"json": {}}, 422, "invalid_input"),
        ({"json": {"url": "http://169.254.169.254/latest"}}, 422, "unsafe_input"),
        ({"json": {"url": "https://localhost/a.png"}}, 422, "unsafe_input"),
        ({"json": {"url": "file:///etc/passwd"}}, 422, "unsafe_input"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 422, "invalid_input"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_a_sentence(
    client: httpx2.Client, service: Service, answer: dict[str, object], status: int, error: str
) -> None:
    if answer.get("data"):
        body = b'--X\r\nContent-Disposition: form-data; name="name"\r\n\r\nx\r\n--X--\r\n'
        answer = {"content": body, "headers": {"Content-Type": "multipart/form-data; boundary=X"}}
    said = client.post("/assets", **answer)  # type: ignore[arg-type]
    assert code(said) == (status, error), said.text
    assert str(service.settings.data_folder()) not in said.text
    assert client.get("/assets").json()["assets"] == []
    assert scratch(service) == []


def test_a_body_that_is_packed_is_not_unpacked(client: httpx2.Client) -> None:
    """Content-Encoding of a request is no business of ours: what was sent is what is looked at."""
    import gzip

    packed = gzip.compress(b"\0" * 10_000_000)
    said = client.post("/assets", content=packed, headers={"Content-Encoding": "gzip"})
    assert code(said) == (415, "unsupported_media")


def test_names_cannot_break_out_of_headers(client: httpx2.Client) -> None:
    body = (
        b'--X\r\nContent-Disposition: form-data; name="file"; filename="a%0D%0ASet-Cookie: x=1%22; b.png"\r\n\r\n'
        + picture(4)
        + b"\r\n--X--\r\n"
    )
    sent = client.post("/assets", content=body, headers={"Content-Type": "multipart/form-data; boundary=X"})
    got = client.get(sent.json()["url"].removeprefix("/api/v1"))
    assert "set-cookie" not in got.headers
    assert got.headers["content-disposition"].count('"') == 2


def test_a_client_that_goes_away_leaves_nothing(client: httpx2.Client, service: Service) -> None:
    host, port = client.base_url.host, client.base_url.port
    with socket.create_connection((host, port)) as connection:
        head = (
            "POST /api/v1/assets HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n"
            f"Authorization: {client.headers['authorization']}\r\n\r\n"
        )
        connection.sendall(head.encode() + b"\x89PNG" * 100_000)
        wait_for(lambda: len(scratch(service)) == 1)
    wait_for(lambda: scratch(service) == [])
    assert client.get("/assets").json()["assets"] == []


def wait_for(condition: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_a_download_that_is_left_is_closed(client: httpx2.Client, clip: bytes, service: Service) -> None:
    closed = []
    real = service.assets.open_asset

    def watched(*args: object) -> object:
        opened = real(*args)  # type: ignore[arg-type]
        release = opened.release
        opened.release = lambda: (closed.append(1), release())[1]  # type: ignore[func-returns-value]
        return opened

    id = client.post("/assets", content=clip).json()["id"]
    service.assets.open_asset = watched  # type: ignore[assignment, method-assign]
    try:
        with client.stream("GET", f"/assets/{id}/content") as answer:
            next(answer.iter_raw(10))
        wait_for(lambda: closed)
    finally:
        service.assets.open_asset = real  # type: ignore[method-assign]


def test_the_same_request_twice_is_done_once(client: httpx2.Client) -> None:
    headers = {"Idempotency-Key": "one"}
    first = client.post("/assets", files={"file": ("a.png", picture(9))}, headers=headers)
    again = client.post("/assets", files={"file": ("a.png", picture(9))}, headers=headers)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = client.post("/assets", files={"file": ("a.png", picture(8))}, headers=headers)
    assert code(other) == (422, "idempotency_mismatch")


def test_an_upload_through_the_service(client: httpx2.Client, stranger: httpx2.Client) -> None:
    made = client.post(
        "/uploads", json={"name": "a.png", "size": len(picture(5)), "content_type": "image/png"}
    )
    assert made.status_code == 201
    upload = made.json()
    assert upload["method"] == "PUT"
    place = upload["url"].removeprefix("/api/v1")
    complete = f"/uploads/{upload['id']}/complete"
    assert code(client.post(complete)) == (409, "upload_incomplete")
    assert code(stranger.put(place, content=picture(5))) == (404, "not_found")
    assert code(client.put(place, content=picture(5)[:-1])) == (409, "upload_incomplete")
    assert code(client.put(place, content=picture(5) + b"x")) == (413, "upload_too_large")
    assert client.put(place, content=picture(5), headers=upload["headers"]).status_code == 204
    assert client.post(complete).json()["id"] == hashlib.sha256(picture(5)).hexdigest()
    assert code(stranger.post(complete)) == (404, "not_found")
    assert code(client.post("/uploads", json={"name": "a", "size": 1 << 30})) == (413, "upload_too_large")
    assert code(client.post("/uploads", json={"name": "a", "size": 0})) == (422, "invalid_input")


def test_what_routes_declare_is_described(service: Service) -> None:
    paths = create_app(service).openapi()["paths"]
    body = paths["/api/v1/assets"]["post"]["requestBody"]["content"]
    assert set(body) == {"multipart/form-data", "application/json", "application/octet-stream"}
    assert "206" in paths["/api/v1/assets/{id}/content"]["get"]["responses"]
    assert json.dumps(paths)
