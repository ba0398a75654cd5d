import pytest

from mien.errors import OptionError, ProviderError, UnsupportedMedia
from mien.media import encoders


def test_software_encoders_open() -> None:
    found = {entry.name: entry for entry in encoders.available()}
    assert {"libx264", "libx265", "libvpx-vp9", "aac", "libopus", "flac"} <= found.keys()
    assert found["libx264"].codec == "h264"
    assert found["libvpx-vp9"].alpha
    assert found["aac"].kind == "audio"
    assert not encoders.opens("no_such_encoder")


def test_only_what_opens_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "opens", lambda name: name == "libx265")
    assert [entry.name for entry in encoders.available()] == ["libx265"]
    assert encoders.choose("mp4").name == "libx265"
    with pytest.raises(ProviderError, match="libx264 does not open"):
        encoders.choose("mp4", "libx264")
    with pytest.raises(ProviderError, match=r"\.webm"):
        encoders.choose("webm")
    with pytest.raises(ProviderError, match=r"\.mp4"):
        encoders.choose_audio("mp4")


@pytest.mark.parametrize(
    ("container", "wanted", "name", "replaced"),
    [
        ("mp4", None, "libx264", False), ("webm", None, "libvpx-vp9", False), ("avi", None, "libx264", False),
        ("webm", "libx264", "libvpx-vp9", True), ("mov", "libvpx-vp9", "libx264", True),
        ("mp4", "rawvideo", "libx264", True), ("avi", "rawvideo", "rawvideo", False),
        ("mkv", "ffv1", "ffv1", False), ("mp4", "libsvtav1", "libsvtav1", False),
    ],
)  # fmt: skip
def test_choice(container: str, wanted: str | None, name: str, replaced: bool) -> None:
    choice = encoders.choose(container, wanted)
    assert choice.name == name
    assert (choice.notice is not None) == replaced
    if replaced:
        assert str(wanted) in str(choice.notice)


@pytest.mark.parametrize(
    ("container", "wanted", "name"),
    [("webm", None, "libvpx-vp9"), ("mov", "libx264", "prores_ks"), ("mkv", "ffv1", "ffv1")],
)
def test_choice_with_alpha(container: str, wanted: str | None, name: str) -> None:
    assert encoders.choose(container, wanted, alpha=True).name == name


def test_containers_without_alpha_refuse_it() -> None:
    with pytest.raises(UnsupportedMedia, match=r"\.webm"):
        encoders.choose("mp4", alpha=True)
    with pytest.raises(UnsupportedMedia, match="libvpx-vp9"):
        encoders.pixel_format("libx264", alpha=True)


@pytest.mark.parametrize(
    ("container", "wanted", "name"),
    [("mp4", None, "aac"), ("webm", None, "libopus"), ("avi", "libopus", "libmp3lame"), ("mov", "flac", "aac"),
     ("mkv", "flac", "flac")],
)  # fmt: skip
def test_audio_choice(container: str, wanted: str | None, name: str) -> None:
    assert encoders.choose_audio(container, wanted).name == name


@pytest.mark.parametrize(
    ("name", "quality", "preset", "key", "value"),
    [
        ("libx264", 80, "veryfast", "crf", "10"), ("libx264", 0, "veryfast", "crf", "51"),
        ("libx265", 100, "slow", "preset", "slow"), ("libvpx-vp9", 80, "medium", "crf", "13"),
        ("h264_nvenc", 80, "slower", "preset", "slow"), ("hevc_amf", 80, "fast", "quality", "balanced"),
        ("h264_qsv", 80, "ultrafast", "preset", "veryfast"), ("h264_videotoolbox", 80, "fast", "b", "40614k"),
        ("libsvtav1", 100, "veryfast", "crf", "1"),
    ],
)  # fmt: skip
def test_quality_and_preset(name: str, quality: int, preset: str, key: str, value: str) -> None:
    assert encoders.video_options(name, quality, preset)[key] == value


def test_wrong_values_are_refused() -> None:
    with pytest.raises(OptionError, match="0 to 100"):
        encoders.video_options("libx264", 101, "fast")
    with pytest.raises(OptionError, match="not a preset"):
        encoders.video_options("libx264", 50, "turbo")
    with pytest.raises(OptionError, match="not a video encoder"):
        encoders.choose("mp4", "divx")
    with pytest.raises(OptionError, match="not an audio encoder"):
        encoders.choose_audio("mp4", "divx")
