"""Checks signed addresses as the clouds do; the emulators accept any signature, and expired ones too."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit


def canonical(url: str, family: str, method: str = "GET") -> tuple[str, dict[str, str]]:
    """The canonical request of an address signed in its query, and the query."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)
    signed = sorted((name, value) for name, value in query if name != f"X-{family}-Signature")
    text = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in signed)
    fields = dict(query)
    assert fields[f"X-{family}-SignedHeaders"] == "host"
    request = "\n".join([method, parts.path, text, f"host:{parts.netloc}", "", "host", "UNSIGNED-PAYLOAD"])
    return request, fields


def to_sign(url: str, family: str, algorithm: str, method: str = "GET") -> tuple[str, dict[str, str]]:
    request, fields = canonical(url, family, method)
    assert fields[f"X-{family}-Algorithm"] == algorithm
    scope = fields[f"X-{family}-Credential"].partition("/")[2]
    digest = hashlib.sha256(request.encode()).hexdigest()
    return "\n".join([algorithm, fields[f"X-{family}-Date"], scope, digest]), fields


def is_valid_aws(
    url: str, key: str, secret: str, region: str, now: datetime | None = None, method: str = "GET"
) -> bool:
    """Signature version 4 of Amazon, in the query."""
    text, fields = to_sign(url, "Amz", "AWS4-HMAC-SHA256", method)
    day = fields["X-Amz-Date"][:8]
    if fields["X-Amz-Credential"] != f"{key}/{day}/{region}/s3/aws4_request":
        return False
    signing = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        signing = hmac.new(signing, part.encode(), hashlib.sha256).digest()
    expected = hmac.new(signing, text.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, fields["X-Amz-Signature"]) and not is_late(fields, "Amz", now)


def is_valid_google(url: str, public_key: Any, account: str, now: datetime | None = None) -> bool:
    """Signature version 4 of Google with a service account's RSA key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    text, fields = to_sign(url, "Goog", "GOOG4-RSA-SHA256")
    if not fields["X-Goog-Credential"].startswith(f"{account}/"):
        return False
    try:
        public_key.verify(
            bytes.fromhex(fields["X-Goog-Signature"]), text.encode(), PKCS1v15(), hashes.SHA256()
        )
    except InvalidSignature:
        return False
    return not is_late(fields, "Goog", now)


def is_late(fields: dict[str, str], family: str, now: datetime | None) -> bool:
    made = datetime.strptime(fields[f"X-{family}-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return (now or datetime.now(UTC)) > made + timedelta(seconds=int(fields[f"X-{family}-Expires"]))
