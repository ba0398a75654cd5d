"""Keys for signing outputs: a small certificate authority of one's own, made and kept in a folder.

The folder holds ``signing.key`` and ``chain.pem`` (its certificate and that of the root), with which outputs are
signed, and ``root.key`` and ``root.pem``. Only ``renew_keys`` needs ``root.key``, so it may be kept elsewhere. Others
who are to trust the signatures get ``root.pem``. All keys are on the curve P-256 (ES256).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from mien.errors import OptionError, OutputNotWritable

KEY, CHAIN, ROOT_KEY, ROOT = "signing.key", "chain.pem", "root.key", "root.pem"

# Readers disagree: the specification names its own usage, the usual configurations ask for that of e-mail.
_USAGES: Final = [ObjectIdentifier("1.3.6.1.4.1.62558.2.1"), ExtendedKeyUsageOID.EMAIL_PROTECTION]
_LEAF_DAYS: Final = 825
_ROOT_DAYS: Final = 3650
_CLOCKS_DIFFER: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What the certificate of a signing key says."""

    name: str
    issuer: str
    expires: datetime
    fingerprint: str
    """SHA-256 of the certificate, in hexadecimal digits."""


def create_keys(folder: Path, name: str = "mien") -> KeyInfo:
    """Make a root and a signing key in ``folder``, readable by their owner only.

    ``name`` is shown to whoever looks at a signed file. Raises OptionError if there are keys already,
    OutputNotWritable.
    """
    present = [file for file in (KEY, CHAIN, ROOT_KEY, ROOT) if (folder / file).exists()]
    if present:
        raise OptionError(
            f"{folder} holds keys already ({', '.join(present)}); choose another folder, or renew them by "
            "mien keys renew."
        )
    root_key = ec.generate_private_key(ec.SECP256R1())
    root = _root(root_key, _subject(name, "root"))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(folder / ROOT_KEY, _key_bytes(root_key))
        _write(folder / ROOT, _pem(root), mode=0o644)
    except OSError as error:
        raise OutputNotWritable(f"No keys can be made in {folder}: {error.strerror}.") from None
    return _issue(folder, root_key, root, name)


def renew_keys(folder: Path) -> KeyInfo:
    """Make a new signing key from the root in ``folder``; whoever trusts the root goes on trusting.

    Raises OptionError if the root is not there, OutputNotWritable.
    """
    try:
        key = serialization.load_pem_private_key((folder / ROOT_KEY).read_bytes(), None)
        root = x509.load_pem_x509_certificate((folder / ROOT).read_bytes())
    except (OSError, ValueError):
        raise OptionError(f"{folder} holds no {ROOT_KEY} and {ROOT}, from which keys are renewed.") from None
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return _issue(folder, key, root, _value(root.subject, NameOID.ORGANIZATION_NAME))


def key_info(chain: bytes) -> KeyInfo:
    """What the first certificate of a PEM chain says; raises ValueError if it is none."""
    leaf = x509.load_pem_x509_certificates(chain)[0]
    return KeyInfo(
        name=_value(leaf.subject, NameOID.ORGANIZATION_NAME) or _value(leaf.subject, NameOID.COMMON_NAME),
        issuer=_value(leaf.issuer, NameOID.COMMON_NAME),
        expires=leaf.not_valid_after_utc,
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
    )


def _issue(folder: Path, root_key: ec.EllipticCurvePrivateKey, root: x509.Certificate, name: str) -> KeyInfo:
    key = ec.generate_private_key(ec.SECP256R1())
    chain = _pem(_leaf(key, _subject(name, "signing"), root_key, root)) + _pem(root)
    try:
        _write(folder / KEY, _key_bytes(key))
        _write(folder / CHAIN, chain, mode=0o644)
    except OSError as error:
        raise OutputNotWritable(f"No keys can be made in {folder}: {error.strerror}.") from None
    return key_info(chain)


def _subject(name: str, role: str) -> x509.Name:
    attributes = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, name),
        x509.NameAttribute(NameOID.COMMON_NAME, f"{name} {role}"),
    ]
    return x509.Name(attributes)


def _root(key: ec.EllipticCurvePrivateKey, subject: x509.Name) -> x509.Certificate:
    return (
        _builder(key, subject, subject, _ROOT_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    key: ec.EllipticCurvePrivateKey,
    subject: x509.Name,
    root_key: ec.EllipticCurvePrivateKey,
    root: x509.Certificate,
) -> x509.Certificate:
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    return (
        _builder(key, subject, root.subject, _LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_USAGES), critical=False)
        .add_extension(issuer, critical=False)
        .sign(root_key, hashes.SHA256())
    )


def _builder(
    key: ec.EllipticCurvePrivateKey, subject: x509.Name, issuer: x509.Name, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(own, critical=False)
    )


def _usage(*allowed: str) -> x509.KeyUsage:
    names: Sequence[str] = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in allowed for name in names})


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file that never has more rights than ``mode``, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _value(name: x509.Name, kind: ObjectIdentifier) -> str:
    found = name.get_attributes_for_oid(kind)
    return str(found[0].value) if found else ""
