from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from mien.errors import InputMissing, OutputNotWritable
from mien.safety.audit import START, AuditLog, check, seal


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "audit.jsonl"
    for number in range(5):
        AuditLog(path).append({"run": number})
    return path


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_every_record_is_sealed_with_the_one_before(log: Path) -> None:
    records = [json.loads(line) for line in lines(log)]
    assert [record["run"] for record in records] == list(range(5))
    before = START
    for record in records:
        assert record.pop("before") == before
        before = record.pop("hash")
        assert record["time"].endswith("+00:00")
    assert check(log).head == before
    assert check(log).records == 5
    assert not check(log).problem


def test_a_change_a_gap_and_a_swap_are_found(log: Path) -> None:
    whole = lines(log)

    def problem(changed: list[bytes], head: str | None = None) -> str:
        log.write_bytes(b"".join(changed))
        return check(log, head).problem

    assert (
        problem([*whole[:2], whole[2].replace(b'"run":2', b'"run":7'), *whole[3:]]) == "Line 3 was changed."
    )
    assert "Line 3 does not follow" in problem([*whole[:2], *whole[3:]])
    assert "Line 1 does not follow" in problem(whole[1:])
    assert "Line 2 does not follow" in problem([whole[0], whole[2], whole[1], *whole[3:]])
    assert "Line 6 is not a whole record" in problem([*whole, b"{"])
    assert "Line 6 is not a whole record" in problem([*whole, b"[]\n"])
    head = json.loads(whole[-1])["hash"]
    assert problem(whole, head) == ""
    assert problem(whole[:-1]) == ""
    assert "No record has the hash" in problem(whole[:-1], head)
    assert problem([], None) == ""


def test_a_record_may_not_be_resealed_in_the_middle(log: Path) -> None:
    whole = lines(log)
    record = json.loads(whole[1])
    before = record.pop("before")
    del record["hash"]
    record["run"] = 99
    forged = json.dumps({**record, "before": before, "hash": seal(before, record)}).encode() + b"\n"
    log.write_bytes(b"".join([whole[0], forged, *whole[2:]]))
    assert "Line 3 does not follow" in check(log).problem


def test_a_half_written_line_is_removed_and_told(log: Path) -> None:
    with log.open("ab") as file:
        file.write(b'{"time": "2026')
    AuditLog(log).append({"run": 5})
    last = json.loads(lines(log)[-1])
    assert last["removed_half_written_bytes"] == 14
    assert not check(log).problem
    assert check(log).records == 6


def test_a_log_that_is_one_half_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"{")
    AuditLog(path).append({"run": 0})
    assert (check(path).records, check(path).problem) == (1, "")


def test_long_records_and_a_damaged_end(log: Path) -> None:
    AuditLog(log).append({"run": "x" * 200_000})
    AuditLog(log).append({"run": "after"})
    assert not check(log).problem
    with log.open("ab") as file:
        file.write(b"nonsense\n")
    AuditLog(log).append({"run": "last"})
    assert "Line 8 is not a whole record" in check(log).problem


def test_many_writers_at_once(tmp_path: Path) -> None:
    path = tmp_path / "log"

    def write(name: int) -> None:
        for number in range(10):
            AuditLog(path).append({"run": f"{name}-{number}"})

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (check(path).records, check(path).problem) == (40, "")


def test_places_that_cannot_be_written_or_read(tmp_path: Path) -> None:
    with pytest.raises(OutputNotWritable):
        AuditLog(tmp_path / "nowhere" / "log").check_writable()
    with pytest.raises(OutputNotWritable):
        AuditLog(tmp_path).append({})
    with pytest.raises(InputMissing, match="cannot be read"):
        check(tmp_path / "nothing")
