from __future__ import annotations

import numpy as np
import pytest

from mien.faces.neural.nms import iou_threshold, suppress

BOXES = [(0, 0, 100, 100), (10, 0, 110, 100), (60, 0, 160, 100), (300, 300, 340, 340)]
SCORES = [0.7, 0.9, 0.8, 0.5]


@pytest.mark.parametrize(("iou", "kept"), [(0.4, [1, 2]), (0.3, [1]), (0.2, [1]), (0.1, [1])])
def test_boxes_that_overlap_a_better_one_go(iou: float, kept: list[int]) -> None:
    assert suppress(BOXES, SCORES, 0.5, iou).tolist() == kept


def test_a_score_at_the_threshold_goes() -> None:
    assert suppress(BOXES, SCORES, 0.49, 0.4).tolist() == [1, 2, 3]


def test_equal_scores_keep_their_order() -> None:
    boxes = [(i * 50, 0, i * 50 + 10, 10) for i in range(4)]
    assert suppress(boxes, [0.6, 0.8, 0.8, 0.6], 0.5, 0.4).tolist() == [1, 2, 0, 3]


def test_nothing_and_empty_boxes() -> None:
    assert suppress(np.zeros((0, 4)), [], 0.5, 0.4).tolist() == []
    assert suppress([(5, 5, 5, 5), (5, 5, 5, 5)], [0.9, 0.8], 0.5, 0.4).tolist() == [0, 1]


def test_the_threshold_falls_with_the_number_of_views() -> None:
    assert [iou_threshold(1, angles) for angles in (1, 2, 3, 4)] == [0.4, 0.3, 0.2, 0.1]
    assert iou_threshold(3, 1) == 0.1
