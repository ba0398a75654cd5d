"""A peer that falls silent without closing: the case that only pings find."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from mien.comfyui import ComfySettings
from mien.comfyui.listener import Listener
from mien.comfyui.tally import Tally
from mien.testing import FakeComfyUI
from tests.comfyui.graphs import steps


class Wire:
    """Passes bytes on to a port, until it is cut off: then it takes them and passes nothing on."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._silent = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def fall_silent(self) -> None:
        """Connections that exist now go dead; new ones work."""
        self._silent.set()
        self._silent = threading.Event()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(one, other, self._silent), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket, silent: threading.Event) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                if not silent.is_set():
                    other.sendall(data)
            other.shutdown(socket.SHUT_WR)


@pytest.fixture
def wire(comfy: FakeComfyUI) -> Iterator[Wire]:
    made = Wire(int(comfy.url.rpartition(":")[2]))
    yield made
    made.close()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def test_a_silent_peer_is_noticed_and_left_for_a_connection_of_another_name(
    comfy: FakeComfyUI, wire: Wire, quick: ComfySettings
) -> None:
    settings = quick.model_copy(update={"ping_seconds": 0.3, "pong_seconds": 0.3})
    tally = Tally(steps(), "prompt")
    with Listener(wire.url, "mien-first", settings, tally) as listener:
        assert listener.unbroken
        wire.fall_silent()
        until(lambda: len(comfy.life.sockets.opened) == 2)
        until(lambda: listener.is_open)
        assert not listener.unbroken
    first, second = comfy.life.sockets.opened
    assert first == "mien-first"
    assert second.startswith("mien-")
    assert second != first


def test_a_closed_peer_is_met_again_under_the_same_name(comfy: FakeComfyUI, quick: ComfySettings) -> None:
    tally = Tally(steps(), "prompt")
    with Listener(comfy.url, "mien-first", quick, tally):
        comfy.drop_sockets()
        until(lambda: len(comfy.life.sockets.opened) == 2)
    assert comfy.life.sockets.opened == ["mien-first"] * 2


def test_an_instance_that_is_not_there_is_no_error_here(quick: ComfySettings) -> None:
    with Listener("http://127.0.0.1:1", "mien-first", quick, Tally(steps(), "prompt")) as listener:
        assert not listener.is_open
        assert not listener.unbroken
