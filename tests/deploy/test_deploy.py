"""What the files of ``deploy`` say about mien is true of mien; no container engine is needed to know that."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mien.cli.app import OWN
from mien.service.settings import ALIASES, ServiceSettings
from mien.settings import Settings
from mien.storage.settings import VARIABLES

DEPLOY = Path(__file__).parents[2] / "deploy"
CONTAINERS = ["Dockerfile", "Dockerfile.cuda"]
COMPOSE = ["compose.yaml", "compose.cluster.yaml"]
MANIFESTS = sorted(path.name for path in (DEPLOY / "kubernetes").glob("*.yaml"))
KNOWN = {
    *(f"MIEN_{name.upper()}" for name in (*ServiceSettings.model_fields, *Settings.model_fields)),
    *(name for names in (*ALIASES.values(), *VARIABLES.values()) for name in names),
}


def documents(name: str) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all((DEPLOY / name).read_text()) if found]


def manifests() -> Iterator[dict[str, Any]]:
    for name in MANIFESTS:
        yield from documents(f"kubernetes/{name}")


@pytest.mark.parametrize(
    "name", [*CONTAINERS, *COMPOSE, *(f"kubernetes/{name}" for name in MANIFESTS), "README.md"]
)
def test_every_setting_that_is_named_exists(name: str) -> None:
    text = (DEPLOY / name).read_text()
    assert set(re.findall(r"\b(?:MIEN|STORAGE|S3|AWS|GCS|R2)_[A-Z0-9_]+\b", text)) <= KNOWN


def test_what_containers_start_are_commands() -> None:
    started = [
        line.split("CMD", 1)[1]
        for name in CONTAINERS
        for line in (DEPLOY / name).read_text().splitlines()
        if line.startswith("CMD ")
    ]
    words = {json.loads(line)[0] for line in started}
    for name in COMPOSE:
        services = documents(name)[0]["services"].values()
        words |= {service["command"][0] for service in services if service.get("image") == "mien"}
    words |= {container["args"][0] for container in containers()}
    assert words == {"serve", "api", "worker"}
    assert words <= set(OWN)


def containers() -> Iterator[dict[str, Any]]:
    for found in manifests():
        if found["kind"] == "Deployment":
            yield from found["spec"]["template"]["spec"]["containers"]


def test_ports_are_the_same_everywhere() -> None:
    port = ServiceSettings.model_fields["port"].default
    for name in CONTAINERS:
        text = (DEPLOY / name).read_text()
        assert f"EXPOSE {port}" in text
        assert f"MIEN_PORT={port}" in text
        assert f"127.0.0.1:{port}/readyz" in text
    for container in containers():
        assert all(entry["containerPort"] == port for entry in container.get("ports", ()))


def test_nothing_runs_as_root_or_gets_more_rights() -> None:
    for name in CONTAINERS:
        assert re.search(r"^USER 10001$", (DEPLOY / name).read_text(), re.MULTILINE)
    for found in manifests():
        if found["kind"] == "Deployment":
            assert found["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] is True
    for container in containers():
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert "limits" in container["resources"]


def test_nobody_gets_in_without_a_key() -> None:
    compose = [documents(name)[0] for name in COMPOSE]
    environments = [service["environment"] for found in compose for service in found["services"].values()
                    if service.get("image") == "mien"]  # fmt: skip
    settings = next(found for found in manifests() if found["kind"] == "ConfigMap")["data"]
    for environment in (*environments, settings):
        assert environment["MIEN_AUTH"] == "on"
    for found in compose:
        for service in found["services"].values():
            assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_no_secret_is_in_the_files() -> None:
    example = (DEPLOY / "cluster.env.example").read_text()
    assert re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE) == [
        ("POSTGRES_PASSWORD", ""),
        ("STORE_PASSWORD", ""),
    ]
    assert not any(found["kind"] == "Secret" for found in manifests())


def test_manifests_are_found_by_their_kustomization() -> None:
    listed = documents("kubernetes/kustomization.yaml")[0]["resources"]
    assert sorted([*listed, "kustomization.yaml"]) == MANIFESTS
