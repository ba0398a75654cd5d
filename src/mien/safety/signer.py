"""What signs: a key folder, the operator's PEM file, or a callback to a key that never leaves its hardware."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from mien.errors import SigningFailed
from mien.safety.keys import CHAIN, KEY

if TYPE_CHECKING:
    from mien.settings import Settings

Algorithm = Literal["ES256", "ES384", "ES512", "PS256", "ED25519"]
Sign = Callable[[bytes], bytes]

_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = MappingProxyType(
    {"ES256": hashes.SHA256(), "ES384": hashes.SHA384(), "ES512": hashes.SHA512()}
)
_CURVES: Final[Mapping[str, Algorithm]] = MappingProxyType(
    {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
)
_FOR_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs outputs.

    ``sign`` returns the bare signature of its argument: r‖s for ES256, ES384 and ES512, and is called from the thread
    that writes an output. ``chain`` are PEM certificates, that of the key first. With ``tsa_url`` a time-stamp
    authority is asked over the network for every signature.
    """

    sign: Sign
    chain: str
    algorithm: Algorithm = "ES256"
    tsa_url: str | None = None

    def __post_init__(self) -> None:
        leaf = _leaf(self.chain)
        now = datetime.now(UTC)
        if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
            raise SigningFailed(
                f"The signing certificate is valid from {leaf.not_valid_before_utc:%Y-%m-%d} to "
                f"{leaf.not_valid_after_utc:%Y-%m-%d} only; mien keys renew makes a new one of mien's own keys."
            )


def signer_of(settings: Settings) -> Signer | None:
    """The signer of the settings; None when signing is off or, being optional, there is no key.

    Raises SigningFailed for a key that is required and missing, or that cannot be used.
    """
    if settings.signing == "off":
        return None
    if settings.signing_key is None:
        if settings.signing == "required":
            raise SigningFailed(
                "Outputs must be signed, but there is no key: make one by mien keys create, or set MIEN_SIGNING_KEY."
            )
        return None
    return load_signer(settings.signing_key, settings.tsa_url)


def load_signer(path: Path, tsa_url: str | None = None) -> Signer:
    """A signer from a key folder, or from one PEM file with the key and its certificates.

    Raises SigningFailed with the reason.
    """
    key_file, chain_file = (path / KEY, path / CHAIN) if path.is_dir() else (path, path)
    try:
        key_pem, chain = key_file.read_bytes(), chain_file.read_text("ascii", "replace")
    except OSError as error:
        raise SigningFailed(f"The signing key {key_file} cannot be read: {error.strerror}.") from None
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SigningFailed(f"{key_file} holds no private key in PEM without a password.") from None
    algorithm, sign = _signing(key, key_file)
    certificates = _certificates(chain)
    if _leaf(certificates).public_key() != key.public_key():
        raise SigningFailed(f"The first certificate in {chain_file} is not that of the key in {key_file}.")
    return Signer(sign, certificates, algorithm, tsa_url)


def exposed(path: Path) -> bool:
    """Whether others on this machine may read the private key (never on Windows, which has other means)."""
    key_file = path / KEY if path.is_dir() else path
    try:
        return os.name == "posix" and bool(key_file.stat().st_mode & _FOR_OTHERS)
    except OSError:
        return False


def _signing(key: Any, path: Path) -> tuple[Algorithm, Sign]:
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        algorithm = _CURVES[key.curve.name]
        return algorithm, _ecdsa(key, _HASHES[algorithm])
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ED25519", key.sign
    if isinstance(key, rsa.RSAPrivateKey):
        return "PS256", _pss(key)
    raise SigningFailed(f"The key in {path} is of a kind that cannot sign; use P-256, Ed25519 or RSA.")


def _ecdsa(key: ec.EllipticCurvePrivateKey, digest: hashes.HashAlgorithm) -> Sign:
    size = (key.key_size + 7) // 8

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    return sign


def _pss(key: rsa.RSAPrivateKey) -> Sign:
    digest = hashes.SHA256()
    scheme = padding.PSS(padding.MGF1(digest), digest.digest_size)
    return lambda data: key.sign(data, scheme, digest)


def _certificates(text: str) -> str:
    """The certificates in a PEM file that may hold a key as well."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    blocks = [part.split(end)[0] for part in text.split(begin)[1:] if end in part]
    return "".join(f"{begin}{block}{end}\n" for block in blocks)


def _leaf(chain: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(chain.encode())[0]
    except ValueError:
        raise SigningFailed(
            "The signing key comes without certificates in PEM, which readers need."
        ) from None
