from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from mien.errors import NotFound
from mien.server.studio import POLICY, add_studio, read_studio


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>mien</title>")
    (tmp_path / "icon.svg").write_text("<svg/>")
    (tmp_path / "assets" / "index-abc.js").write_text("let a = 1;" * 100)
    return tmp_path


def _client(folder: Path, **more: str) -> TestClient:
    app = FastAPI(**more)
    add_studio(app, folder)
    return TestClient(app)


def test_the_page_is_asked_for_anew_and_its_parts_never(dist: Path) -> None:
    client = _client(dist)
    page = client.get("/")
    assert (page.headers["cache-control"], page.headers["content-security-policy"]) == ("no-cache", POLICY)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    script = client.get("/assets/index-abc.js")
    assert "immutable" in script.headers["cache-control"]
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert client.get("/icon.svg").headers["content-type"].startswith("image/svg+xml")


def test_what_the_browser_has_is_not_sent_again(dist: Path) -> None:
    client = _client(dist)
    etag = client.get("/").headers["etag"]
    again = client.get("/", headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


def test_scripts_are_packed_for_those_who_can_unpack(dist: Path) -> None:
    client = _client(dist)
    plain = client.get("/assets/index-abc.js", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    packed = client.get("/assets/index-abc.js", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    file = read_studio(dist)["assets/index-abc.js"]
    assert file.packed is not None
    assert gzip.decompress(file.packed) == file.content


def test_only_built_files_are_served(dist: Path) -> None:
    client = _client(dist)
    with pytest.raises(NotFound, match=r"no file assets/gone\.js"):
        client.get("/assets/gone.js")
    assert client.get("/assets/..%2Findex.html").status_code == 404


def test_a_service_without_a_built_studio_says_how_to_build_it(tmp_path: Path) -> None:
    answer = _client(tmp_path).get("/")
    assert answer.status_code == 200
    assert "npm run build" in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_below_a_path_the_page_is_at_its_end_with_a_slash(dist: Path) -> None:
    client = _client(dist, root_path="/faces")
    assert client.get("/faces/").status_code == 200
    moved = client.get("/faces", follow_redirects=False)
    assert moved.headers["location"].endswith("/faces/")  # addresses of the page are relative
