"""Cloudflare Images: pictures up to 10 MB, kept private and delivered by signed addresses.

It is no object store: it chooses the name of a picture itself (private pictures cannot have a name of ours), and
what it delivers is a variant of the picture, not its bytes; those are read through the API.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import httpx2

from mien.errors import StorageError, StorageMissing, StorageRefused
from mien.media.formats import UNKNOWN
from mien.storage.base import (
    CHUNK,
    HOUR,
    Announce,
    Item,
    Opened,
    Privacy,
    PutTicket,
    Stored,
    check_seconds,
    describe,
    key_of,
)
from mien.storage.settings import StorageSettings

MAX_BYTES: Final = 10_000_000
KINDS: Final = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})
"""What it takes of the formats that mien writes."""
_TIMEOUT: Final = httpx2.Timeout(60.0, connect=10.0)


class CloudflareImages:
    """The pictures of one account."""

    name: Literal["cf_images"] = "cf_images"

    def __init__(self, settings: StorageSettings) -> None:
        """Raises StorageRefused when account or token is not set."""
        if not settings.cf_account_id or settings.cf_api_token is None:
            raise StorageRefused(
                "Cloudflare Images needs CF_IMAGES_ACCOUNT_ID and CF_IMAGES_API_TOKEN, which are not both set."
            )
        self.place = f"cfimages://{settings.cf_account_id}"
        self.privacy: Privacy = "private" if settings.cf_private else "public"
        self._settings = settings
        self._base = f"{settings.cf_api_url.rstrip('/')}/accounts/{settings.cf_account_id}/images/v1"
        self._client = httpx2.Client(
            headers={"Authorization": f"Bearer {settings.cf_api_token.get_secret_value()}"},
            timeout=_TIMEOUT,
            trust_env=False,
        )

    def refusal(self, item: Item) -> str | None:
        """Why a file cannot be kept here: it is no picture, or too large."""
        if item.content_type not in KINDS:
            return f"Cloudflare Images keeps JPEG, PNG, WebP and GIF pictures, not {item.content_type}."
        if item.size is not None and item.size > MAX_BYTES:
            return f"Cloudflare Images keeps pictures up to {MAX_BYTES} bytes; this one has {item.size}."
        return None

    def put_file(self, path: Path, filename: str | None = None, announce: Announce | None = None) -> Stored:
        """Upload a picture."""
        item = describe(path, filename)
        self._check(item)
        return self._upload(path.read_bytes(), item)

    def put_stream(self, chunks: Iterable[bytes], item: Item) -> Stored:
        """Upload a picture that is still being made; it is held in memory up to the limit."""
        self._check(item)
        content = bytearray()
        for chunk in chunks:
            content += chunk
            if len(content) > MAX_BYTES:
                raise StorageRefused(f"Cloudflare Images keeps pictures up to {MAX_BYTES} bytes.")
        return self._upload(bytes(content), item)

    def open(self, url: str, start: int = 0, end: int | None = None) -> Opened:
        """Read the picture as it was uploaded."""
        id = key_of(url, self.place)
        with self._told(url):
            response = self._client.send(
                self._client.build_request("GET", f"{self._base}/{id}/blob"), stream=True
            )
            if response.status_code != 200:
                response.read()
            self._check_answer(response, url)
            # Pictures are small: a range is cut out of the whole.
            content = response.read()[start:end] if start or end is not None else None
        size = int(response.headers.get("content-length", "0"))

        def chunks() -> Iterator[bytes]:
            with self._told(url):
                yield from [content] if content is not None else response.iter_bytes(CHUNK)

        return Opened(size, response.headers.get("content-type", UNKNOWN), chunks(), response.close)

    def sign(self, url: str, seconds: int = HOUR) -> str:
        """An address of the delivery that is valid for so long: HMAC-SHA256 over path and expiry."""
        id = key_of(url, self.place)
        settings = self._settings
        if not settings.cf_account_hash:
            raise StorageRefused(
                "Addresses of Cloudflare Images need CF_IMAGES_ACCOUNT_HASH, which is not set."
            )
        path = f"/{settings.cf_account_hash}/{id}/{settings.cf_variant}"
        base = settings.cf_delivery_url.rstrip("/")
        if not settings.cf_private:
            return base + path
        if settings.cf_signing_key is None:
            raise StorageRefused("Signed addresses need CF_IMAGES_SIGNING_KEY, which is not set.")
        path = f"{path}?exp={int(time.time()) + check_seconds(seconds)}"
        key = settings.cf_signing_key.get_secret_value().encode()
        return f"{base}{path}&sig={hmac.new(key, path.encode(), hashlib.sha256).hexdigest()}"

    def sign_put(self, ending: str = "", seconds: int = HOUR) -> PutTicket | None:
        """None: its direct uploads are another kind of request, and only take pictures."""
        return None

    def delete(self, url: str) -> None:
        """Remove a picture."""
        id = key_of(url, self.place)
        with self._told(url):
            response = self._client.delete(f"{self._base}/{id}")
            if response.status_code != 404:
                self._check_answer(response, url)

    def _check(self, item: Item) -> None:
        refusal = self.refusal(item)
        if refusal is not None:
            raise StorageRefused(refusal)

    def _upload(self, content: bytes, item: Item) -> Stored:
        name = f"picture.{item.ending}"
        with self._told(self.place):
            response = self._client.post(
                self._base,
                files={"file": (name, content, item.content_type)},
                data={"requireSignedURLs": "true" if self._settings.cf_private else "false"},
            )
            self._check_answer(response, self.place)
            id = _result(response).get("id")
        if not isinstance(id, str) or not id:
            raise StorageError("Cloudflare Images answered without the name of the picture.")
        return Stored(f"{self.place}/{id}", len(content), item.content_type)

    def _check_answer(self, response: httpx2.Response, url: str) -> None:
        """Raise for an answer that is not a success."""
        status = response.status_code
        if 200 <= status < 300:
            return
        if status == 404:
            raise StorageMissing(f"There is no object {url}.")
        if status == 429 or status >= 500:
            raise StorageError(f"Cloudflare Images failed (status {status}); try again later.")
        if status in (401, 403):
            raise StorageRefused(f"Cloudflare Images does not accept the token (status {status}).")
        raise StorageRefused(f"Cloudflare Images refused the request (status {status}{_codes(response)}).")

    @contextmanager
    def _told(self, url: str) -> Iterator[None]:
        try:
            yield
        except httpx2.HTTPError:
            raise StorageError(
                f"Cloudflare Images could not be reached for {url}; try again later."
            ) from None


def _result(response: httpx2.Response) -> dict[str, Any]:
    try:
        result = response.json().get("result")
    except (ValueError, AttributeError):
        result = None
    return result if isinstance(result, dict) else {}


def _codes(response: httpx2.Response) -> str:
    """The numbers of Cloudflare's errors, which its documentation explains."""
    try:
        codes = [str(int(error["code"])) for error in response.json()["errors"]]
    except (ValueError, TypeError, KeyError):
        return ""
    return f", error {', '.join(codes)}" if codes else ""
