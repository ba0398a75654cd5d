import pytest

from mien.errors import OptionError
from mien.service.settings import ServiceSettings


def test_every_setting_has_a_default_and_a_sentence() -> None:
    settings = ServiceSettings()
    assert settings.is_local_only
    for name, field in ServiceSettings.model_fields.items():
        assert (field.description or "").endswith("."), name


def test_own_names_win_over_those_of_others() -> None:
    both = {"MIEN_MAX_UPLOAD_MB": "7", "FF_MAX_UPLOAD_SIZE_MB": "9", "LOG_LEVEL": "INFO"}
    assert ServiceSettings.from_environment(both).max_upload_mb == 7
    assert ServiceSettings.from_environment({"FF_MAX_UPLOAD_SIZE_MB": "9"}).max_upload_bytes == 9 << 20
    assert ServiceSettings.from_environment({}).max_upload_mb == 500


def test_what_is_given_wins_over_the_environment() -> None:
    settings = ServiceSettings.from_environment({"MIEN_PORT": "1234"}, port=99, host=None)
    assert (settings.port, settings.host) == (99, "127.0.0.1")


def test_lists_are_read(tmp_path: object) -> None:
    settings = ServiceSettings.from_environment({"MIEN_CORS_ORIGINS": "https://a.example, https://b.example"})
    assert settings.cors_origins == ("https://a.example", "https://b.example")


def test_a_wrong_value_is_named_by_its_variable() -> None:
    with pytest.raises(OptionError, match="FF_MAX_UPLOAD_SIZE_MB is set to a value that cannot be used"):
        ServiceSettings.from_environment({"FF_MAX_UPLOAD_SIZE_MB": "much"})


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("example.org", False)],
)
def test_who_can_reach_it(host: str, local: bool) -> None:
    assert ServiceSettings(host=host).is_local_only is local


def test_the_password_of_the_database_is_not_shown() -> None:
    settings = ServiceSettings.from_environment({"MIEN_DATABASE_URL": "postgresql://a:hidden@b/c"})
    assert "hidden" not in repr(settings)
    assert settings.database() == "postgresql://a:hidden@b/c"
