from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
from websockets.sync.client import ClientConnection, connect

from tests.server.served import Served, face_png


@contextmanager
def connected(served: Served) -> Iterator[ClientConnection]:
    address = str(served.client.base_url).replace("http://", "ws://")
    with connect(f"{address}live", max_size=None, open_timeout=30) as socket:
        yield socket


def jpeg() -> bytes:
    image = cv2.imdecode(np.frombuffer(face_png(), np.uint8), cv2.IMREAD_COLOR)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()


def refusal(socket: ClientConnection) -> str:
    message = socket.recv(30)
    return str(json.loads(message)["error"]["code"])


def test_frames_come_back_worked_on_and_numbered(idle: Served) -> None:
    with connected(idle) as socket:
        socket.send(json.dumps({"processors": ["inverter"], "size": 32}))
        assert json.loads(socket.recv(30))["ready"] is True
        for number in range(3):
            socket.send(jpeg())
            answer = socket.recv(30)
            assert isinstance(answer, bytes)
            assert struct.unpack(">II", answer[:8])[0] == number
            picture = cv2.imdecode(np.frombuffer(answer[8:], np.uint8), cv2.IMREAD_COLOR)
            assert picture.shape == (24, 32, 3)
            assert abs(int(picture[2, 2, 0]) - 55) < 30  # 200 turned round
            assert b"ns.adobe.com/xap" in answer


def test_old_frames_are_dropped_for_the_newest(idle: Served) -> None:
    with connected(idle) as socket:
        socket.send(json.dumps({"processors": ["inverter"], "options": {"inverter_delay": 0.2}}))
        socket.recv(30)
        for _ in range(20):
            socket.send(jpeg())
        numbers = []
        while not numbers or numbers[-1] != 19:
            answer = socket.recv(30)
            assert isinstance(answer, bytes)
            numbers.append(struct.unpack(">II", answer[:8])[0])
        assert numbers == sorted(set(numbers))
        assert len(numbers) < 20


def test_what_is_wrong_is_said_before_the_end(idle: Served) -> None:
    for first, code in (
        (json.dumps({"processors": ["inverted"]}), "invalid_option"),
        (json.dumps({"sources": ["x"], "processors": ["inverter"]}), "invalid_input"),
        (json.dumps({"nonsense": 1}), "invalid_input"),
        ("{", "invalid_input"),
        (b"\0", "invalid_input"),
    ):
        with connected(idle) as socket:
            socket.send(first)
            assert refusal(socket) == code
    with connected(idle) as socket:
        socket.send(json.dumps({"processors": ["inverter"]}))
        socket.recv(30)
        socket.send(b"no picture")
        assert refusal(socket) == "corrupt_media"
