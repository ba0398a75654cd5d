from __future__ import annotations

import pytest

from mien.errors import Forbidden, UnsupportedMedia
from mien.service.outputs import Known, named_output
from mien.service.requests import OutputRequest

PHOTO = Known("holiday.jpeg", "image", "jpg")
ODD = Known("moving.gif", "image", "gif")
CLIP = Known("clip.mkv", "video", "mkv")


@pytest.mark.parametrize(
    ("wish", "target", "index", "name"),
    [
        ({}, PHOTO, 0, "holiday.jpg"),
        ({}, PHOTO, 2, "holiday-3.jpg"),
        ({}, ODD, 0, "moving.png"),
        ({}, CLIP, 0, "clip.mkv"),
        ({"format": "PNG"}, PHOTO, 0, "holiday.png"),
        ({"name": "me.webp"}, PHOTO, 0, "me.webp"),
        ({"name": "me.webp", "format": "png"}, PHOTO, 0, "me.png"),
        ({"name": "v1.2"}, CLIP, 0, "v1.2.mkv"),
        ({"name": "../../etc/passwd"}, PHOTO, 0, "passwd.jpg"),
        ({}, Known.of_url("https://example.org/a/b.png?x=1"), 0, "b.png"),
        ({}, Known.of_url("https://example.org/picture"), 0, "picture"),
        ({"format": "png"}, Known.of_url("https://example.org/picture"), 0, "picture.png"),
        ({}, Known.of_result("result:holiday.png"), 1, "holiday-2.png"),
    ],
)
def test_results_are_called_after_the_wish_or_the_target(
    wish: dict[str, str], target: Known, index: int, name: str
) -> None:
    assert named_output(OutputRequest(**wish), target, index, marked=False) == name


@pytest.mark.parametrize(("format", "target"), [("mp4", PHOTO), ("png", CLIP), ("exe", Known("x"))])
def test_formats_of_another_kind_are_refused(format: str, target: Known) -> None:
    with pytest.raises(UnsupportedMedia, match=format):
        named_output(OutputRequest(format=format), target, 0, marked=False)


def test_results_that_need_marks_have_a_format_that_holds_them() -> None:
    scan = Known("scan.bmp", "image", "bmp")
    assert named_output(OutputRequest(), scan, 0, marked=True) == "scan.png"
    for wish in (OutputRequest(format="bmp"), OutputRequest(format=".BMP"), OutputRequest(name="me.bmp")):
        for target in (scan, PHOTO, Known("x"), None):
            with pytest.raises(Forbidden, match="MIEN_MARKING_REQUIRED"):
                named_output(wish, target, 0, marked=True)
