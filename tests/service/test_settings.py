from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from mien.errors import OptionError
from mien.service.settings import ALIASES, ServiceSettings


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


@pytest.mark.parametrize("text", ["a b", "a,b", " a ,  b ", "a, b,"])
@pytest.mark.parametrize("name", ["cors_origins", "queues", "fetch_allow", "webhook_allow"])
def test_lists_are_read(name: str, text: str) -> None:
    settings = ServiceSettings.from_environment({f"MIEN_{name.upper()}": text})
    assert getattr(settings, name) == ("a", "b")


def test_what_is_empty_is_not_set_and_spaces_do_not_count() -> None:
    settings = ServiceSettings.from_environment(
        {"MIEN_PORT": "", "MIEN_HOST": " ::1 ", "LOG_LEVEL": " WARNING "}
    )
    assert (settings.port, settings.host, settings.log_level) == (8080, "::1", "warning")


def test_it_is_said_from_which_variable_a_setting_came() -> None:
    names = {name: alias for name, (alias,) in ALIASES.items()}
    assert ServiceSettings.named(dict.fromkeys(names.values(), "x")) == names
    own = {f"MIEN_{name.upper()}": "x" for name in names}
    assert ServiceSettings.named({**dict.fromkeys(names.values(), "x"), **own}) == {
        name: f"MIEN_{name.upper()}" for name in names
    }
    # An own name that is set to nothing leaves the other one in force.
    assert ServiceSettings.named({"MIEN_LOG_LEVEL": "", "LOG_LEVEL": "info"}) == {"log_level": "LOG_LEVEL"}


def test_settings_do_not_change_and_have_no_others() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ServiceSettings().port = 1
    with pytest.raises(ValidationError, match="Extra inputs"):
        ServiceSettings.model_validate({"porrt": 1})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MIEN_PORT", "65536"),
        ("MIEN_PORT", "-1"),
        ("MIEN_MAX_UPLOAD_MB", "0"),
        ("MIEN_MAX_UPLOAD_MB", "nan"),
        ("MIEN_LEASE_SECONDS", "4.9"),
        ("MIEN_RESULT_URL_SECONDS", "604801"),
        ("MIEN_AUTH", "maybe"),
        ("MIEN_ROLE", "API"),
        ("MIEN_CONTENT_POLICY", "strict"),
        ("MIEN_OTLP_ENDPOINT", "collector:4318"),
        ("MIEN_STUDIO", "perhaps"),
    ],
)
def test_values_out_of_their_limits_are_refused(variable: str, value: str) -> None:
    with pytest.raises(OptionError, match=f"^{variable} is set to a value that cannot be used: .+"):
        ServiceSettings.from_environment({variable: value})


def test_no_number_is_endless() -> None:
    """Sizes become bytes and durations moments, which have no infinity."""
    numbers = [
        name for name, field in ServiceSettings.model_fields.items() if "float" in str(field.annotation)
    ]
    assert "max_upload_mb" in numbers
    for name in numbers:
        with pytest.raises(OptionError, match=f"^MIEN_{name.upper()} .* finite number"):
            ServiceSettings.from_environment({f"MIEN_{name.upper()}": "inf"})


def test_a_wrong_option_of_a_command_is_named_as_one() -> None:
    with pytest.raises(OptionError, match=r"^--max-upload-mb is set to a value"):
        ServiceSettings.from_environment({"MIEN_MAX_UPLOAD_MB": "7"}, max_upload_mb=-1)


def test_a_wrong_secret_is_not_shown() -> None:
    with pytest.raises(OptionError) as caught:
        ServiceSettings.from_environment(
            {"MIEN_DATABASE_URL": "postgresql://a:hidden@b/c", "MIEN_PORT": "hidden"}
        )
    assert "hidden" not in str(caught.value)


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


def test_the_database_is_a_file_in_the_data_folder_where_no_other_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = ServiceSettings(data_dir=Path("data"))
    assert settings.data_folder() == tmp_path / "data"
    assert settings.database() == f"sqlite:///{tmp_path}/data/mien.db"
    assert not settings.data_folder().exists()  # to say where it is makes no folder
    assert ServiceSettings().data_folder().is_absolute()


def test_sizes_are_told_in_bytes() -> None:
    assert ServiceSettings(max_upload_mb=0.5).max_upload_bytes == 1 << 19
