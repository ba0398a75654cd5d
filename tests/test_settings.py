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


def test_names_of_facefusion_wrappers_count_after_those_of_mien() -> None:
    found = Settings.from_environment(
        {
            "FF_EXECUTION_PROVIDERS": '["cuda", "cpu"]',
            "FF_EXECUTION_THREAD_COUNT": "7",
            "MIEN_THREADS": "3",
            "FF_VIDEO_MEMORY_STRATEGY": "strict",
            "FF_MODELS_DIR": "/models",
        }
    )
    assert (found.providers, found.threads, found.memory_strategy) == (("cuda", "cpu"), 3, "strict")
    assert found.models_dir == Path("/models")


def test_providers_may_have_the_names_of_onnx_runtime() -> None:
    given = {"FF_EXECUTION_PROVIDERS": '["CUDAExecutionProvider", "DmlExecutionProvider", "cpu"]'}
    assert Settings.from_environment(given).providers == ("cuda", "directml", "cpu")


def test_a_wrong_value_names_the_variable_that_holds_it() -> None:
    with pytest.raises(OptionError, match=r"^FF_EXECUTION_THREAD_COUNT is set"):
        Settings.from_environment({"FF_EXECUTION_THREAD_COUNT": "many"})
    with pytest.raises(OptionError, match=r"^FF_EXECUTION_PROVIDERS is set"):
        Settings.from_environment({"FF_EXECUTION_PROVIDERS": '["cuda"'})
