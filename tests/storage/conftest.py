from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mien.storage import Storage, StorageSettings, storage_of
from mien.storage.check import PICTURE
from tests.storage.servers import Cloud, GoogleHandler, ImagesHandler, serving

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


@pytest.fixture(autouse=True)
def no_cloud_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own account may be used by a test."""
    import os

    for name in list(os.environ):
        if name.startswith(("AWS_", "GOOGLE_", "GCS_", "R2_", "CF_IMAGES_", "STORAGE_", "S3_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="package")
def moto() -> Iterator[str]:
    """The address of an S3 server with the bucket ``shelf``."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    httpx2.put(f"{url}/shelf").raise_for_status()
    yield url
    server.stop()


@pytest.fixture
def google() -> Iterator[Cloud]:
    with serving(GoogleHandler) as cloud:
        yield cloud


@pytest.fixture
def images() -> Iterator[Cloud]:
    with serving(ImagesHandler) as cloud:
        yield cloud


@dataclass(frozen=True)
class Account:
    """A Google service account: its key file and its public key."""

    file: Path
    public_key: Any
    email: str = "mien@example.iam.gserviceaccount.com"


@pytest.fixture(scope="session")
def private_key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def account(private_key: Any, google: Cloud, tmp_path: Path) -> Account:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    found = Account(tmp_path / "account.json", private_key.public_key())
    content = {
        "type": "service_account",
        "gcs_base_url": google.url,
        "disable_oauth": True,  # no token is asked for; such an account cannot sign
        "client_email": found.email,
        "private_key": pem,
        "private_key_id": "1",
    }
    found.file.write_text(json.dumps(content))
    return found


@pytest.fixture
def signing_account(account: Account) -> Account:
    """The same account as Google makes them."""
    content = json.loads(account.file.read_text())
    content = {name: content[name] for name in ("type", "client_email", "private_key", "private_key_id")}
    account.file.write_text(json.dumps(content))
    return account


@pytest.fixture
def s3(moto: str) -> Storage:
    return storage_of("s3://shelf", StorageSettings.from_environment(aws(moto)))


@pytest.fixture
def gcs(account: Account) -> Storage:
    settings = StorageSettings.from_environment({"GOOGLE_APPLICATION_CREDENTIALS": str(account.file)})
    return storage_of("gs://shelf", settings)


@pytest.fixture
def cf(images: Cloud) -> Storage:
    return storage_of("cfimages://acc", StorageSettings.from_environment(cloudflare(images)))


@pytest.fixture
def local(tmp_path: Path) -> Storage:
    return storage_of((tmp_path / "kept").as_uri(), StorageSettings())


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.jpg"  # named by mistake: it is a PNG
    path.write_bytes(PICTURE)
    return path


def aws(endpoint: str) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": endpoint}


def cloudflare(images: Cloud) -> dict[str, str]:
    return {
        "CF_IMAGES_ACCOUNT_ID": "acc",
        "CF_IMAGES_API_TOKEN": "token",
        "CF_IMAGES_ACCOUNT_HASH": "hash",
        "CF_IMAGES_SIGNING_KEY": "signing",
        "CF_IMAGES_API_URL": images.url,
        "CF_IMAGES_DELIVERY_URL": images.url,
    }
