import base64
import hashlib
import hmac

import pytest

from mien.errors import OptionError
from mien.service.signing import check_secret, headers, new_secret


def test_signatures_are_those_of_standard_webhooks() -> None:
    """Against the definition, and against the values in the reference libraries' tests."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    found = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', [secret])
    assert found == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_two_secrets_make_two_signatures_and_none_makes_none() -> None:
    secrets = [new_secret(), new_secret()]
    found = headers("msg_1", 5, b"x", secrets)["webhook-signature"].split(" ")
    for secret, signature in zip(secrets, found, strict=True):
        key = base64.b64decode(secret.removeprefix("whsec_"))
        digest = hmac.new(key, b"msg_1.5.x", hashlib.sha256).digest()
        assert signature == f"v1,{base64.b64encode(digest).decode()}"
    assert "webhook-signature" not in headers("msg_1", 5, b"x", [])


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ="]
)
def test_what_is_no_secret_is_refused(secret: str) -> None:
    with pytest.raises(OptionError):
        check_secret(secret)


def test_secrets_are_long_and_never_the_same() -> None:
    assert len(check_secret(new_secret())) == 32
    assert new_secret() != new_secret()
