"""Signatures of webhooks after Standard Webhooks (version 1, HMAC-SHA256), and the secrets that make them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Final

from mien.errors import OptionError

PREFIX: Final = "whsec_"
_FEWEST: Final = 24
_MOST: Final = 64


def new_secret() -> str:
    """A random secret of 256 bits."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def check_secret(secret: str) -> bytes:
    """The key in a secret. Raises OptionError when it is none, or has less than 192 bits."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not _FEWEST <= len(key) <= _MOST:
        raise OptionError(
            f"A secret of webhooks is {PREFIX} and {_FEWEST} to {_MOST} random bytes in Base64; this is none."
        )
    return key


def headers(id: str, moment: int, body: bytes, keys: Iterable[str]) -> dict[str, str]:
    """The headers of a call: who has one of the secrets can check that it is from here, whole, and of now.

    ``moment`` is in seconds since 1970. Without a secret there is no signature.
    """
    content = b".".join((id.encode(), str(moment).encode(), body))
    digests = (hmac.new(check_secret(secret), content, hashlib.sha256).digest() for secret in keys)
    signatures = " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)
    found = {"webhook-id": id, "webhook-timestamp": str(moment)}
    return {**found, "webhook-signature": signatures} if signatures else found
