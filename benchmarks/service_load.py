"""How many submissions one API process takes in a second, and how long lists of many jobs take.

    python benchmarks/service_load.py [--sqlite] [--seconds 10] [--clients 32]

Starts a PostgreSQL server and ``mien api`` of their own, and submits jobs over HTTP from other processes. Nobody runs
the jobs. Two baselines are taken in the same run: a loop of bare inserts of the same rows over one connection, and
the same number of requests to an address that does nothing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests import postgres
from tests.server.served import face_png

BATCH = 1000
"""Jobs of one request."""
LISTED = 10_000
PROCESSES = 1
"""Of clients: where there are two cores, a second one takes the place of the server."""


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--sqlite", action="store_true")
    words.add_argument("--seconds", type=float, default=10)
    words.add_argument("--clients", type=int, default=32)
    given = words.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if given.sqlite:
            url = f"sqlite:///{folder}/mien.db"
        else:
            url = stack.enter_context(postgres.server()).new_database("load")
        base = stack.enter_context(api(url, folder))
        with httpx2.Client(base_url=base, timeout=60, trust_env=False) as client:
            asset = client.post("/api/v1/assets", files={"file": ("f.png", face_png())}).json()["id"]
            nothing = rate(base, "GET", "/livez", None, given)
            body = {"processors": ["face_debugger"], "target": asset}
            for _ in range(50):  # the first one loads the engine
                client.post("/api/v1/jobs", json=body).raise_for_status()
            accepted = rate(base, "POST", "/api/v1/jobs", body, given)
            bare = inserts(url, given.seconds / 2)
            print(f"requests that do nothing:    {nothing:7.0f} per second")
            print(f"bare inserts, one after one: {bare:7.0f} per second")
            print(
                f"submissions accepted:        {accepted:7.0f} per second, {accepted / bare:.2f} of the inserts"
            )
            print(f"in batches of {BATCH}:         {batches(client, asset):7.0f} jobs per second")
            lists(client)


@contextmanager
def api(url: str, folder: Path) -> Iterator[str]:
    """The address of an API process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    limits = {
        "MIEN_MAX_QUEUE": "1000000",
        "MIEN_MAX_QUEUE_PER_KEY": "1000000",
        "MIEN_REQUESTS_PER_MINUTE": "10000000",
    }
    environ = {
        **os.environ,
        **limits,
        "MIEN_DATABASE_URL": url,
        "MIEN_DATA_DIR": str(folder),
        "MIEN_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-m", "mien", "api", "--port", str(port)]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx2.get(f"http://127.0.0.1:{port}/livez", trust_env=False)
                break
            except httpx2.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def rate(base: str, method: str, path: str, body: Any, given: argparse.Namespace) -> float:
    """Answered requests per second."""
    arguments = (base, method, path, body, given.seconds, given.clients // PROCESSES)
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        counts = pool.starmap(ask, [arguments] * PROCESSES)
    return sum(counts) / given.seconds


def ask(base: str, method: str, path: str, body: Any, seconds: float, clients: int) -> int:
    """How many requests were answered with success, over so many connections.

    Written down once and sent again and again: a whole HTTP client takes more of the machine than the server.
    """
    import asyncio

    host, _, port = base.removeprefix("http://").partition(":")
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content

    async def one(until: float) -> int:
        reader, writer = await asyncio.open_connection(host, int(port))
        count = 0
        while time.monotonic() < until:
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = next(
                line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:")
            )
            text = await reader.readexactly(int(length.split(b":")[1]))
            assert answer.split(b" ")[1][:1] == b"2", text
            count += 1
        writer.close()
        return count

    async def all() -> int:
        until = time.monotonic() + seconds
        return sum(await asyncio.gather(*(one(until) for _ in range(clients))))

    return asyncio.run(all())


def inserts(url: str, seconds: float) -> float:
    """Rows per second, each in a transaction of its own, over one connection."""
    from mien.db import open_database
    from mien.db.tables import jobs
    from mien.jobs.job import Job, JobStep, now
    from mien.jobs.rows import NewJob, values_of
    from mien.jobs.states import submit

    database = open_database(url)
    step = JobStep({"target_path": "asset:x", "output_path": "result:x.png", "processors": ["face_debugger"]})
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        job = submit(Job(f"bare_{count}", now(), steps=(step,)))
        with database.begin() as connection:
            connection.execute(jobs.insert().values(**values_of(NewJob(job))))
        count += 1
    database.close()
    return count / seconds


def batches(client: httpx2.Client, asset: str) -> float:
    """Jobs per second that are submitted many in one request, until there are enough for the lists."""
    settings = [
        {"processors": ["face_debugger"], "options": {"face_detector_score": number / BATCH}}
        for number in range(BATCH)
    ]
    began = time.perf_counter()
    for _ in range(LISTED // BATCH):
        answer = client.post("/api/v1/batches", json={"targets": [asset], "settings": settings})
        assert answer.is_success, answer.text
    return LISTED / (time.perf_counter() - began)


def lists(client: httpx2.Client) -> None:
    """The time of a page of jobs at the beginning and deep down."""
    times: list[float] = []
    cursor = None
    while True:
        query = {"limit": "100", **({"cursor": cursor} if cursor else {})}
        began = time.perf_counter()
        page = client.get("/api/v1/jobs", params=query).json()
        times.append(time.perf_counter() - began)
        cursor = page["next_cursor"]
        if cursor is None:
            break
    first, last = statistics.median(times[1:11]) * 1e3, statistics.median(times[-10:]) * 1e3
    print(f"pages of 100 of {len(times) * 100} jobs: {first:.0f} ms at the top, {last:.0f} ms at the end")


if __name__ == "__main__":
    main()
