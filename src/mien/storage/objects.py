"""Object stores: Amazon S3 and servers that speak its language, Cloudflare R2, Google Cloud Storage. The only place
that imports obstore.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import obstore
from obstore import exceptions
from obstore.store import GCSStore, S3Store
from pydantic import SecretStr

from mien.errors import StorageError, StorageMissing, StorageRefused
from mien.media.formats import UNKNOWN
from mien.storage.base import (
    CHUNK,
    CONCURRENCY,
    HOUR,
    Announce,
    Item,
    Opened,
    PutTicket,
    Stored,
    check_seconds,
    describe,
    disposition,
    key_of,
    random_key,
)
from mien.storage.settings import StorageSettings

T = TypeVar("T")
ObjectStore = S3Store | GCSStore

# obstore's own limit of 30 s for a request is too short for 8 MB over a slow line.
_CLIENT: Final = {"timeout": "300s", "connect_timeout": "10s"}
_RETRY: Final[Any] = {"max_retries": 3, "retry_timeout": timedelta(seconds=60)}


class ObjectStorage:
    """One bucket of an object store."""

    privacy: Literal["private"] = "private"

    def __init__(self, name: str, place: str, store: ObjectStore, prefix: str = "") -> None:
        """``place`` is scheme and bucket, as ``s3://bucket``."""
        self.name = name
        self.place = place
        self._store = store
        self._prefix = prefix

    def refusal(self, item: Item) -> str | None:
        """None: any file can be kept here."""
        return None

    def put_file(self, path: Path, filename: str | None = None, announce: Announce | None = None) -> Stored:
        """Upload a file in parts, a few at a time."""
        item = describe(path, filename)
        return self._put(path, item, lambda: path.stat().st_size, announce)

    def put_stream(self, chunks: Iterable[bytes], item: Item) -> Stored:
        """Upload bytes as they come, in parts."""
        counted = _Counted(chunks)
        return self._put(counted, item, lambda: counted.size)

    def _put(self, content: Any, item: Item, size: Any, announce: Announce | None = None) -> Stored:
        key = random_key(self._prefix, item.ending)
        attributes = {
            "Content-Type": item.content_type,
            "Content-Disposition": disposition(item),
            "Cache-Control": "private",
        }
        url = f"{self.place}/{key}"
        if announce is not None:
            announce(url)
        with self._told(url, content):
            obstore.put(
                self._store,
                key,
                content,
                attributes=dict(attributes),
                chunk_size=CHUNK,
                max_concurrency=CONCURRENCY,
            )
        return Stored(url, size(), item.content_type)

    def open(self, url: str, start: int = 0, end: int | None = None) -> Opened:
        """Download an object as it is read."""
        key = key_of(url, self.place)
        options: Any = {"range": {"offset": start} if end is None else (start, end)} if start or end else {}
        with self._told(url):
            found = obstore.get(self._store, key, options=options)
            size, content_type = found.meta["size"], found.attributes.get("Content-Type", UNKNOWN)

        def chunks() -> Iterator[bytes]:
            with self._told(url):
                for chunk in found.stream(min_chunk_size=1 << 20):
                    yield bytes(chunk)

        return Opened(size, content_type, chunks())

    def sign(self, url: str, seconds: int = HOUR) -> str:
        """An address that needs no other credentials; made here, without asking the store."""
        key = key_of(url, self.place)
        with self._told(url):
            return obstore.sign(self._store, "GET", key, timedelta(seconds=check_seconds(seconds)))

    def sign_put(self, ending: str = "", seconds: int = HOUR) -> PutTicket | None:
        """An address for one PUT request of at most 5 GB, made here without asking the store."""
        key = random_key(self._prefix, ending)
        url = f"{self.place}/{key}"
        with self._told(url):
            address = obstore.sign(self._store, "PUT", key, timedelta(seconds=check_seconds(seconds)))
        return PutTicket(url, address)

    def delete(self, url: str) -> None:
        """Remove an object."""
        key = key_of(url, self.place)
        try:
            with self._told(url):
                obstore.delete(self._store, key)
        except StorageMissing:
            return

    @contextmanager
    def _told(self, url: str, content: Any = None) -> Iterator[None]:
        """Turn what obstore raises into one sentence about ``url``."""
        try:
            yield
        except FileNotFoundError:
            raise StorageMissing(f"There is no object {url}, or its bucket does not exist.") from None
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise StorageRefused(f"{self.place} does not accept the credentials{_reason(error)}.") from None
        except (exceptions.BaseError, ValueError, OSError) as error:
            if isinstance(content, _Counted) and content.failure is not None:
                raise content.failure from None
            raise StorageError(f"{self.place} failed{_reason(error)}; try again later.") from None


class _Counted:
    """Bytes on their way into a store: how many there were, and what their maker raised."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.size = 0
        self.failure: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._chunks:
                self.size += len(chunk)
                yield chunk
        except BaseException as error:
            # obstore raises an error of its own; the caller wants this one.
            self.failure = error
            raise


def s3_storage(settings: StorageSettings) -> ObjectStorage:
    """Amazon S3, or another server with ``AWS_ENDPOINT_URL_S3``."""
    bucket = _needed(settings.s3_bucket, "S3_BUCKET_NAME")
    config: dict[str, Any] = {"region": settings.s3_region}
    if settings.s3_endpoint is not None:
        config |= {"endpoint": settings.s3_endpoint, "virtual_hosted_style_request": False}
    if settings.s3_access_key_id is not None:
        secret = _needed(settings.s3_secret_access_key, "AWS_SECRET_ACCESS_KEY")
        config["credential_provider"] = _fixed(settings.s3_access_key_id, secret, settings.s3_session_token)
    store = S3Store(bucket, client_options=_client(settings.s3_endpoint), retry_config=_RETRY, **config)
    return ObjectStorage("s3", f"s3://{bucket}", store, settings.prefix)


def r2_storage(settings: StorageSettings) -> ObjectStorage:
    """Cloudflare R2."""
    bucket = _needed(settings.r2_bucket, "R2_BUCKET_NAME")
    endpoint = settings.r2_endpoint
    if endpoint is None:
        account = _needed(settings.r2_account_id, "R2_ACCOUNT_ID")
        endpoint = f"https://{account}.r2.cloudflarestorage.com"
    key = _needed(settings.r2_access_key_id, "R2_ACCESS_KEY_ID")
    # Variables for Amazon, such as AWS_SESSION_TOKEN, would be mixed into keys that are not given by a provider.
    provider = _fixed(key, _needed(settings.r2_secret_access_key, "R2_SECRET_ACCESS_KEY"), None)
    store = S3Store(
        bucket,
        endpoint=endpoint,
        aws_endpoint_url_s3=endpoint,
        region="auto",
        virtual_hosted_style_request=False,
        skip_signature=False,
        credential_provider=provider,
        client_options=_client(endpoint),
        retry_config=_RETRY,
    )
    return ObjectStorage("r2", f"r2://{bucket}", store, settings.prefix)


def gcs_storage(settings: StorageSettings) -> ObjectStorage:
    """Google Cloud Storage."""
    bucket = _needed(settings.gcs_bucket, "GCS_BUCKET_NAME")
    config: dict[str, Any] = {}
    endpoint = None
    if settings.gcs_credentials is not None:
        account = _account(settings.gcs_credentials)
        endpoint = account.get("gcs_base_url")
        kind = "service_account" if "private_key" in account else "application_credentials"
        config[kind] = str(settings.gcs_credentials)
    try:
        store = GCSStore(bucket, client_options=_client(endpoint), retry_config=_RETRY, **config)
    except (exceptions.BaseError, ValueError) as error:
        raise StorageRefused(
            f"GOOGLE_APPLICATION_CREDENTIALS is not a usable key file{_reason(error)}."
        ) from None
    return ObjectStorage("gcs", f"gs://{bucket}", store, settings.prefix)


def _account(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise StorageRefused(f"GOOGLE_APPLICATION_CREDENTIALS names {path}, which is not a key file in JSON.")
    return found


def _fixed(key: str, secret: SecretStr, token: SecretStr | None) -> Any:
    credential = {
        "access_key_id": key,
        "secret_access_key": secret.get_secret_value(),
        "token": None if token is None else token.get_secret_value(),
        "expires_at": None,
    }
    return lambda: credential


def _client(endpoint: str | None) -> Any:
    return {**_CLIENT, "allow_http": endpoint is not None and endpoint.startswith("http://")}


def _needed(value: T | None, variable: str) -> T:
    if value is None:
        raise StorageRefused(f"The storage needs {variable}, which is not set.")
    return value


def _reason(error: BaseException) -> str:
    """The part of obstore's long message that helps: the store's own code, or the HTTP status."""
    text = str(error)
    code = re.search(r"<Code>(\w{1,60})</Code>", text)
    status = re.search(r"status:? (\d{3})", text)
    found = code.group(1) if code else f"status {status.group(1)}" if status else ""
    if not found and re.search(r"connect|dns|resolve", text, re.IGNORECASE):
        found = "it cannot be reached"
    return f" ({found})" if found else ""
