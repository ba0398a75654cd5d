import pytest

from mien.types import Box


def test_box_measures() -> None:
    box = Box(10, 20, 30, 60)
    assert (box.width, box.height, box.area, box.center) == (20, 40, 800, (20, 40))
    assert box.expanded(0.5).as_tuple() == (0, 0, 40, 80)
    assert Box(5, 5, 1, 9).area == 0


@pytest.mark.parametrize(
    ("other", "iou"),
    [
        (Box(0, 0, 10, 10), 1.0),
        (Box(5, 0, 15, 10), 1 / 3),
        (Box(20, 20, 30, 30), 0.0),
        (Box(0, 0, 0, 0), 0.0),
    ],
)
def test_overlap(other: Box, iou: float) -> None:
    assert Box(0, 0, 10, 10).iou(other) == pytest.approx(iou)
    assert other.iou(Box(0, 0, 10, 10)) == pytest.approx(iou)
