from __future__ import annotations

import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.x509.oid import ExtendedKeyUsageOID

from mien.errors import OptionError, OutputNotWritable, SigningFailed
from mien.safety import signer as signing
from mien.safety.keys import CHAIN, KEY, ROOT, ROOT_KEY, create_keys, key_info, renew_keys
from mien.safety.signer import exposed, load_signer, signer_of
from mien.settings import Settings

posix = pytest.mark.skipif(os.name != "posix", reason="rights of files are those of POSIX")


def certificates(folder: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates((folder / CHAIN).read_bytes())


@posix
def test_private_keys_are_for_their_owner_only(keys: Path) -> None:
    assert [stat.S_IMODE((keys / name).stat().st_mode) for name in (KEY, ROOT_KEY)] == [0o600, 0o600]
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert sorted(path.name for path in keys.iterdir()) == sorted([KEY, ROOT_KEY, CHAIN, ROOT])
    assert not exposed(keys)


@posix
def test_a_key_that_others_can_read_is_noticed(tmp_path: Path) -> None:
    create_keys(tmp_path / "k")
    (tmp_path / "k" / KEY).chmod(0o644)
    assert exposed(tmp_path / "k")
    assert not exposed(tmp_path / "nothing")


def test_the_certificate_has_what_readers_ask_for(keys: Path) -> None:
    leaf, root = certificates(keys)
    leaf.verify_directly_issued_by(root)
    usages = {
        usage.dotted_string for usage in leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    }
    assert usages == {"1.3.6.1.4.1.62558.2.1", ExtendedKeyUsageOID.EMAIL_PROTECTION.dotted_string}
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert (keys / ROOT).read_bytes() == root.public_bytes(serialization.Encoding.PEM)
    info = key_info((keys / CHAIN).read_bytes())
    assert (info.name, info.issuer) == ("Studio X", "Studio X root")
    assert info.fingerprint == leaf.fingerprint(hashes.SHA256()).hex()


def test_keys_are_never_written_over(keys: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in keys.iterdir()}
    with pytest.raises(OptionError, match="holds keys already"):
        create_keys(keys)
    assert {path.name: path.read_bytes() for path in keys.iterdir()} == before
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputNotWritable, match="No keys can be made"):
        create_keys(tmp_path / "file")


def test_renewing_keeps_the_root(tmp_path: Path) -> None:
    folder = tmp_path / "k"
    first = create_keys(folder, "Studio Y")
    root = (folder / ROOT).read_bytes()
    second = renew_keys(folder)
    assert second.fingerprint != first.fingerprint
    assert second.name == "Studio Y"
    assert (folder / ROOT).read_bytes() == root
    leaf, issuer = certificates(folder)
    leaf.verify_directly_issued_by(issuer)
    load_signer(folder)
    (folder / ROOT_KEY).unlink()
    with pytest.raises(OptionError, match=r"holds no root\.key"):
        renew_keys(folder)


def test_a_signature_is_that_of_the_key(keys: Path) -> None:
    signer = load_signer(keys)
    assert signer.algorithm == "ES256"
    signature = signer.sign(b"text")
    assert len(signature) == 64
    halves = (int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    public = certificates(keys)[0].public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(encode_dss_signature(*halves), b"text", ec.ECDSA(hashes.SHA256()))


def self_signed(key: object, days: int = 10) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())  # type: ignore[attr-defined]
        .serial_number(1)
        .not_valid_before(now - timedelta(days=20))
        .not_valid_after(now + timedelta(days=days))
    )
    return builder.sign(key, digest).public_bytes(serialization.Encoding.PEM)  # type: ignore[arg-type]


def pem(key: object, password: bytes | None = None) -> bytes:
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(  # type: ignore[attr-defined, no-any-return]
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection
    )


@pytest.mark.parametrize(
    ("make", "algorithm"),
    [
        (lambda: ec.generate_private_key(ec.SECP384R1()), "ES384"),
        (lambda: ec.generate_private_key(ec.SECP521R1()), "ES512"),
        (ed25519.Ed25519PrivateKey.generate, "ED25519"),
        (lambda: rsa.generate_private_key(65537, 2048), "PS256"),
    ],
)
def test_the_operators_own_key_in_one_file(
    make: Callable[[], object], algorithm: str, tmp_path: Path
) -> None:
    key = make()
    file = tmp_path / "operator.pem"
    file.write_bytes(pem(key) + self_signed(key))
    signer = load_signer(file)
    assert signer.algorithm == algorithm
    assert "PRIVATE" not in signer.chain
    signature = signer.sign(b"text")
    public = key.public_key()  # type: ignore[attr-defined]
    if algorithm == "PS256":
        public.verify(signature, b"text", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    elif algorithm == "ED25519":
        public.verify(signature, b"text")
    else:
        half = len(signature) // 2
        r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        public.verify(encode_dss_signature(r, s), b"text", ec.ECDSA(signing._HASHES[algorithm]))


def test_keys_that_cannot_be_used_are_refused_with_the_reason(keys: Path, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "k.pem"

    def refusal(data: bytes) -> str:
        file.write_bytes(data)
        with pytest.raises(SigningFailed) as caught:
            load_signer(file)
        return str(caught.value)

    assert "holds no private key" in refusal(b"nonsense")
    assert "without a password" in refusal(pem(key, b"secret") + self_signed(key))
    assert "without certificates" in refusal(pem(key))
    assert "is not that of the key" in refusal(pem(key) + (keys / CHAIN).read_bytes())
    assert "valid from" in refusal(pem(key) + self_signed(key, days=-1))
    assert "of a kind that cannot sign" in refusal(pem(x25519.X25519PrivateKey.generate()))
    with pytest.raises(SigningFailed, match="cannot be read"):
        load_signer(tmp_path / "nowhere.pem")


def test_settings_choose_the_signer(keys: Path) -> None:
    assert signer_of(Settings()) is None
    assert signer_of(Settings(signing="off", signing_key=keys)) is None
    found = signer_of(Settings(signing_key=keys, tsa_url="http://tsa.invalid"))
    assert found is not None
    assert found.tsa_url == "http://tsa.invalid"
    with pytest.raises(SigningFailed, match="mien keys create"):
        signer_of(Settings(signing="required"))
