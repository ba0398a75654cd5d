import pytest

from mien.comfyui import ComfySettings
from mien.errors import OptionError


def test_everything_comes_from_the_environment() -> None:
    settings = ComfySettings.from_environment(
        {
            "COMFYUI_URL": "http://one:8188/, https://two/comfy",
            "COMFYUI_CLIENT_ID": "gateway_1",
            "MIEN_COMFYUI_RUN_SECONDS": "12.5",
            "MIEN_COMFYUI_ALLOWED_CLASSES": "SaveImage, LoadImage",
            "COMFYUI_WORKFLOWS_DIR": "/flows",
        }
    )
    assert settings.urls == ("http://one:8188", "https://two/comfy")
    assert settings.client_id == "gateway_1"
    assert settings.run_seconds == 12.5
    assert settings.allowed_classes == {"SaveImage", "LoadImage"}
    assert str(settings.workflows_dir) == "/flows"
    assert ComfySettings.from_environment({}) == ComfySettings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("COMFYUI_URL", "gpu:8188"),
        ("COMFYUI_CLIENT_ID", "two words"),
        ("MIEN_COMFYUI_RUN_SECONDS", "soon"),
        ("MIEN_COMFYUI_DEPTH", "0"),
    ],
)
def test_a_wrong_value_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(OptionError, match=variable):
        ComfySettings.from_environment({variable: value})


def test_passwords_of_addresses_are_not_shown() -> None:
    with pytest.raises(OptionError) as caught:
        ComfySettings.from_environment({"COMFYUI_URL": "ftp://user:secret@gpu"})
    assert "secret" not in str(caught.value)
