from pathlib import Path

import pytest
from pydantic import ValidationError

from mien.errors import OptionError
from mien.settings import Settings


def test_environment_variables_become_settings(tmp_path: Path) -> None:
    settings = Settings.from_environment(
        {
            "MIEN_MODELS_DIR": str(tmp_path),
            "MIEN_MODELS_VERIFY": "off",
            "MIEN_PROVIDERS": "cuda, cpu",
            "MIEN_DEVICE_IDS": "0 1",
            "MIEN_PRECISION": "fast",
            "MIEN_HUB_URLS": "github=http://mirror/a huggingface=http://mirror/b",
            "MIEN_THREADS": "",
            "OTHER": "ignored",
        }
    )
    assert settings.models_dir == tmp_path
    assert settings.models_verify is False
    assert settings.providers == ("cuda", "cpu")
    assert settings.device_ids == (0, 1)
    assert settings.precision == "fast"
    assert settings.hub_urls["huggingface"] == "http://mirror/b"
    assert settings.threads == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("MIEN_THREADS", "many"), ("MIEN_PRECISION", "best"), ("MIEN_DOWNLOAD_PROVIDERS", "github elsewhere")],
)
def test_a_wrong_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(OptionError, match=f"^{name} is set to a value that cannot be used"):
        Settings.from_environment({name: value})


def test_settings_are_frozen_and_closed() -> None:
    with pytest.raises(ValidationError):
        Settings(threads=2).threads = 3  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Settings(colour="red")  # type: ignore[call-arg]


def test_folders_follow_the_cache_folder(tmp_path: Path) -> None:
    assert Settings(cache_dir=tmp_path).work_folder() == tmp_path / "work"
    assert Settings(cache_dir=tmp_path, work_dir=tmp_path / "w").work_folder() == tmp_path / "w"
    assert Settings().cache_folder().name == "mien"
