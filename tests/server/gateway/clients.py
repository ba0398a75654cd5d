"""A client of the gateway, and tasks that it asks for."""

from __future__ import annotations

from typing import Any

import httpx2

from tests.server.served import Served

SWAP = {"source_url": "https://example.org/a.png", "target_url": "https://example.org/b.png"}
PAINT = {"prompt": "a cat", "resolution": "512x768", "seed": 7}


class Gateway:
    """A client of the gateway."""

    def __init__(self, place: Served, key: str = "") -> None:
        base = str(place.client.base_url).replace("/api/v1/", "")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx2.Client(base_url=base, headers=headers, timeout=60, trust_env=False)

    def create(
        self, workflow: str, data: dict[str, Any], environment: str = "auto", **more: Any
    ) -> httpx2.Response:
        body = {"workflow": workflow, "environment": environment, "task_data": data, **more}
        return self.http.post("/api/tasks/create", json=body)

    def fetch(self, *environments: str) -> Any:
        return self.http.get("/api/comm/task/fetch", params={"environment": list(environments)}).json()[
            "data"
        ]

    def report(self, what: str, task: dict[str, Any], **body: Any) -> httpx2.Response:
        headers = {"X-Lease-Token": task["lease_token"]}
        return self.http.post(f"/api/comm/task/{task['taskId']}/{what}", json=body, headers=headers)

    def task(self, id: str) -> Any:
        return self.http.get(f"/api/tasks/{id}").json()
