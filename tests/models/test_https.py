from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from mien.errors import OutputNotWritable
from mien.models.fetchers.base import FetchFailed, Unreachable
from mien.models.fetchers.https import download, download_small
from tests.models.hub_server import Hub

BODY = bytes(range(256)) * 4000


def test_brings_the_file_and_tells_how_much(hub: Hub, tmp_path: Path) -> None:
    hub.add("/a", BODY)
    told: list[int] = []
    download(f"{hub.url}/a", tmp_path / "a", size=len(BODY), report=told.append)
    assert (tmp_path / "a").read_bytes() == BODY
    assert told == sorted(told)
    assert told[-1] == len(BODY)


def test_goes_on_where_the_connection_was_cut(hub: Hub, tmp_path: Path) -> None:
    hub.add("/a", BODY, cut_after=[1000, 2000])
    download(f"{hub.url}/a", tmp_path / "a", size=len(BODY), report=lambda done: None)
    assert (tmp_path / "a").read_bytes() == BODY
    assert hub.requests == [("/a", None), ("/a", "bytes=1000-"), ("/a", "bytes=3000-")]


def test_goes_on_after_an_earlier_run(hub: Hub, tmp_path: Path) -> None:
    hub.add("/a", BODY)
    (tmp_path / "a").write_bytes(BODY[:5000])
    download(f"{hub.url}/a", tmp_path / "a", size=None, report=lambda done: None)
    assert (tmp_path / "a").read_bytes() == BODY
    assert hub.requests == [("/a", "bytes=5000-")]


def test_starts_again_where_the_server_knows_no_ranges(hub: Hub, tmp_path: Path) -> None:
    hub.add("/a", BODY, ranges=False, cut_after=[1000])
    download(f"{hub.url}/a", tmp_path / "a", size=len(BODY), report=lambda done: None)
    assert (tmp_path / "a").read_bytes() == BODY


def test_starts_again_when_the_part_is_longer_than_the_file(hub: Hub, tmp_path: Path) -> None:
    hub.add("/a", BODY)
    (tmp_path / "a").write_bytes(BODY + b"more")
    download(f"{hub.url}/a", tmp_path / "a", size=None, report=lambda done: None)
    assert (tmp_path / "a").read_bytes() == BODY


def test_a_whole_part_needs_no_connection(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(BODY)
    download(f"{hub.url}/a", tmp_path / "a", size=len(BODY), report=lambda done: None)
    assert hub.requests == []


def test_gives_up_a_server_that_cuts_every_connection(hub: Hub, tmp_path: Path) -> None:
    hub.add("/a", BODY, cut_after=[0] * 20)
    with pytest.raises(FetchFailed, match="cut off"):
        download(f"{hub.url}/a", tmp_path / "a", size=len(BODY), report=lambda done: None)
    assert len(hub.requests) == 4


def test_gives_up_a_server_that_goes_silent(hub: Hub, tmp_path: Path) -> None:
    gate = threading.Event()
    hub.add("/a", BODY, gate=gate, ranges=False)
    try:
        with pytest.raises(FetchFailed, match="timed out"):
            download(
                f"{hub.url}/a", tmp_path / "a", size=len(BODY), report=lambda done: None, idle_seconds=0.1
            )
    finally:
        gate.set()


def test_a_missing_file_is_not_asked_for_twice(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="answers 404"):
        download(f"{hub.url}/none", tmp_path / "a", size=None, report=lambda done: None)
    assert hub.paths() == ["/none"]


def test_a_busy_server_is_asked_again(hub: Hub, tmp_path: Path) -> None:
    hub.add("/a", b"", status=503)
    with pytest.raises(FetchFailed, match="answers 503"):
        download(f"{hub.url}/a", tmp_path / "a", size=None, report=lambda done: None)
    assert len(hub.requests) == 4


def test_refuses_a_file_of_another_size(hub: Hub, tmp_path: Path) -> None:
    hub.add("/a", BODY)
    with pytest.raises(FetchFailed, match=r"1,024,000 bytes instead of 10"):
        download(f"{hub.url}/a", tmp_path / "a", size=10, report=lambda done: None)
    assert not (tmp_path / "a").exists()


def test_refuses_an_endless_body(hub: Hub, tmp_path: Path) -> None:
    hub.add("/a", BODY, length=False)
    with pytest.raises(FetchFailed, match="more than 1,000 bytes"):
        download(f"{hub.url}/a", tmp_path / "a", size=1000, report=lambda done: None)
    assert not (tmp_path / "a").exists()


def test_follows_redirects(hub: Hub, tmp_path: Path) -> None:
    hub.add("/a", b"", status=302, location="/b")
    hub.add("/b", BODY)
    download(f"{hub.url}/a", tmp_path / "a", size=len(BODY), report=lambda done: None)
    assert (tmp_path / "a").read_bytes() == BODY


def test_other_schemes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="not http"):
        download("file:///etc/hostname", tmp_path / "a", size=None, report=lambda done: None)


def test_a_redirect_to_a_local_file_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.add("/a", b"", status=302, location="file:///etc/hostname")
    with pytest.raises(FetchFailed):
        download(f"{hub.url}/a", tmp_path / "a", size=None, report=lambda done: None)
    assert not (tmp_path / "a").exists()


def test_a_closed_port_is_unreachable(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(Unreachable, match="refused"):
        download(f"http://127.0.0.1:{port}/a", tmp_path / "a", size=None, report=lambda done: None)


def test_a_folder_in_the_way_is_not_taken_for_the_network(hub: Hub, tmp_path: Path) -> None:
    hub.add("/a", BODY)
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputNotWritable, match="cannot be written"):
        download(f"{hub.url}/a", tmp_path / "a", size=None, report=lambda done: None)


def test_what_the_report_raises_ends_the_download(hub: Hub, tmp_path: Path) -> None:
    hub.add("/a", BODY)

    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(f"{hub.url}/a", tmp_path / "a", size=None, report=stop)


def test_small_files_come_whole(hub: Hub) -> None:
    hub.add("/a.hash", b"0123abcd")
    assert download_small(f"{hub.url}/a.hash") == b"0123abcd"
    with pytest.raises(FetchFailed, match="404"):
        download_small(f"{hub.url}/b.hash")
