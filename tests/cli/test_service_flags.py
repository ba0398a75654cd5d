import pytest

from mien.cli.service_flags import service_settings


@pytest.mark.parametrize("unused", [None, (), []])
def test_flags_that_were_not_written_leave_lists_of_the_environment_alone(
    monkeypatch: pytest.MonkeyPatch, unused: object
) -> None:
    monkeypatch.setenv("MIEN_WEBHOOK_ALLOW", "10.1.0.0/16, 10.2.0.0/16")
    assert service_settings({"webhook_allow": unused}).webhook_allow == ("10.1.0.0/16", "10.2.0.0/16")
    assert service_settings({"webhook_allow": ["10.3.0.0/16"]}).webhook_allow == ("10.3.0.0/16",)
