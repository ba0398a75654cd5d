from __future__ import annotations

import struct
from pathlib import Path

import pytest

from mien.media.probe import probe
from mien.media.sound_tags import tag_sound, wave_packet

TAGS = {"digital_source_type": "x", "operations": "sing"}


def wave(path: Path, samples: bytes, *, magic: bytes = b"RIFF", more: bytes = b"") -> Path:
    form = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
    content = b"WAVE" + form + more + b"data" + struct.pack("<I", len(samples)) + samples
    path.write_bytes(magic + struct.pack("<I", len(content)) + content)
    return path


@pytest.mark.parametrize("count", [1000, 1001])
def test_a_wave_file_keeps_its_samples_and_gets_one_packet(count: int, tmp_path: Path) -> None:
    made = wave(tmp_path / "made.wav", bytes(range(250)) * 5)
    made = wave(tmp_path / "made.wav", made.read_bytes()[-count:])
    outputs = [tmp_path / "once.wav", tmp_path / "twice.wav"]
    assert tag_sound(made, "wav", outputs[0], {"digital_source_type": "before"})
    assert tag_sound(outputs[0], "wav", outputs[1], TAGS)
    packet = wave_packet(outputs[1])
    assert packet is not None
    assert b"sing" in packet
    assert b"before" not in packet
    assert outputs[1].read_bytes()[44 : 44 + count] == made.read_bytes()[44:]
    size = struct.unpack_from("<I", outputs[1].read_bytes(), 4)[0]
    assert size + 8 == outputs[1].stat().st_size
    assert probe(outputs[1]).duration == probe(made).duration
    assert wave_packet(made) is None


def test_a_chunk_before_the_samples_is_left_where_it_is(tmp_path: Path) -> None:
    made = wave(tmp_path / "made.wav", bytes(100), more=b"_PMX" + struct.pack("<I", 4) + b"abcd")
    assert tag_sound(made, "wav", tmp_path / "out.wav", TAGS)
    assert b"sing" in (wave_packet(tmp_path / "out.wav") or b"")


@pytest.mark.parametrize("format", ["wav", "asf"])
def test_what_has_no_place_for_tags_is_told(format: str, tmp_path: Path) -> None:
    made = wave(tmp_path / "made.wav", bytes(100), magic=b"RF64")
    assert not tag_sound(made, format, tmp_path / "out.wav", TAGS)
    assert not (tmp_path / "out.wav").exists()
