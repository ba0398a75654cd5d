from __future__ import annotations

import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import anyio.to_thread
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from starlette.routing import Match

from mien.comfyui import ComfySettings
from mien.server.app import GATEWAY, OUTSIDE, ROUTES, SEEN, SENT, THREADS, create_app
from mien.server.middleware import API
from mien.service.service import Service
from tests.ready import app_of
from tests.service.comfy_places import make_service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with make_service(tmp_path_factory.mktemp("service"), ComfySettings(), studio=False) as found:
        yield found


@pytest.fixture(scope="module")
def app(service: Service) -> FastAPI:
    return app_of(service)


def declared() -> Iterator[tuple[str, str, APIRoute]]:
    """Address, method and route of all that the modules declare."""
    for package, names, prefix in (
        ("routes", ROUTES, API),
        ("routes", OUTSIDE, ""),
        ("gateway", GATEWAY, ""),
    ):
        for name in names:
            for route in import_module(f"mien.server.{package}.{name}").router.routes:
                if isinstance(route, APIRoute):
                    for method in route.methods or ():
                        yield prefix + route.path, method, route


def with_router(package: str) -> set[str]:
    """Modules of a package that have routes."""
    folder = import_module(package)
    names = [module.name for module in pkgutil.iter_modules(folder.__path__)]
    return {name for name in names if hasattr(import_module(f"{package}.{name}"), "router")}


def test_no_module_with_routes_is_forgotten() -> None:
    assert {*ROUTES, *OUTSIDE} == with_router("mien.server.routes")
    assert set(GATEWAY) == with_router("mien.server.gateway")
    assert not any(count > 1 for count in Counter((*ROUTES, *OUTSIDE)).values())


def test_every_route_of_every_module_is_served_where_it_belongs(app: FastAPI) -> None:
    for path, method, route in declared():
        address = re.sub(r"{[^}]*}", "a" * 64, path)
        scope = {"type": "http", "method": method, "path": address, "root_path": "", "headers": []}
        assert any(found.matches(scope)[0] is Match.FULL for found in app.router.routes), (path, route.name)


def test_no_two_routes_answer_the_same_request_or_have_one_name() -> None:
    answered = Counter((path, method) for path, method, _ in declared())
    assert [place for place, count in answered.items() if count > 1] == []
    names = Counter(route.name for _, _, route in declared() if route.include_in_schema)
    assert [name for name, count in names.items() if count > 1] == []


def test_two_apps_share_nothing(service: Service, app: FastAPI) -> None:
    one, two = create_app(service), app
    assert one.state.registry is not two.state.registry
    assert one.state.service is two.state.service is service
    with TestClient(one) as client:
        assert client.get("/api/v1/batches").status_code == 200
    labels = {"method": "GET", "route": "/api/v1/batches", "status": "200"}
    counts = [app.state.registry.get_sample_value("mien_http_requests_total", labels) for app in (one, two)]
    assert counts == [1.0, None]


def test_the_app_neither_opens_nor_closes_the_service(service: Service, app: FastAPI) -> None:
    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/livez").status_code == 200
    assert not service.stopping
    service.ping()


def test_requests_that_wait_leave_room_for_others(app: FastAPI) -> None:
    async def limit() -> int:
        return int(anyio.to_thread.current_default_thread_limiter().total_tokens)

    with TestClient(app) as client:
        assert client.portal is not None
        assert client.portal.call(limit) == THREADS


def test_without_the_studio_browsers_find_nothing_at_the_top(app: FastAPI) -> None:
    html = {"accept": "text/html"}
    with TestClient(app) as client:
        assert client.get("/", headers=html).status_code == 404
        assert client.get("/", headers={"accept": "application/json"}).json()["service"] == "mien"


def test_pages_of_other_origins_may_ask_where_the_operator_names_them(tmp_path: Path, app: FastAPI) -> None:
    asks = {"Origin": "https://studio.example.org", "Access-Control-Request-Method": "PUT"}
    asks["Access-Control-Request-Headers"] = ", ".join(SENT)
    with TestClient(app) as client:
        assert "access-control-allow-origin" not in client.options("/api/v1/jobs", headers=asks).headers
    origins = ("https://studio.example.org",)
    with (
        make_service(tmp_path / "other", ComfySettings(), studio=False, cors_origins=origins) as service,
        TestClient(app_of(service)) as client,
    ):
        allowed = client.options("/api/v1/jobs", headers=asks)
        assert allowed.headers["access-control-allow-origin"] == origins[0]
        assert "PUT" in allowed.headers["access-control-allow-methods"]
        answer = client.get("/api/v1/jobs", headers={"Origin": origins[0]})
        assert set(answer.headers["access-control-expose-headers"].split(", ")) == set(SEEN)
        other = client.options("/api/v1/jobs", headers={**asks, "Origin": "https://evil.example.org"})
        assert (other.status_code, "access-control-allow-origin" in other.headers) == (400, False)


def test_a_failure_inside_is_answered_and_says_nothing_of_the_machine(
    service: Service, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("/etc/secret is broken")

    monkeypatch.setattr(type(service.store), "page", broken)
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/api/v1/jobs")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"]
