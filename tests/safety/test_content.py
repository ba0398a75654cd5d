from collections.abc import Sequence

import numpy as np
import pytest

from mien.models.catalogue import load_catalogue
from mien.safety.content import VOTERS, Vote, Voter, contained, make_vote, sample_numbers, too_many

BLACK = np.zeros((20, 30, 3), np.uint8)


class FakeSession:
    """Gives a fixed output and remembers its inputs."""

    inputs = outputs = ()

    def __init__(self, output: np.ndarray) -> None:
        self.output = output
        self.fed: list[np.ndarray] = []

    @property
    def runs(self) -> int:
        return len(self.fed)

    def run(self, feeds: Sequence[np.ndarray]) -> list[np.ndarray]:
        self.fed.append(feeds[0])
        return [self.output[None]]


def detections(score: float) -> np.ndarray:
    output = np.zeros((9, 8), np.float32)
    output[:4] = 300  # boxes are not scores
    output[6, 3] = score
    return output


OUTPUTS = {
    "nsfw_1": (detections(0.21), detections(0.19)),
    "nsfw_2": (np.float32([1.3, 1.0]), np.float32([1.2, 1.0])),
    "nsfw_3": (np.float32([0, 0, 5, 5.6]), np.float32([0, 0, 5, 5.4])),
}


def vote(*answers: bool) -> tuple[Vote, list[FakeSession]]:
    sessions = {
        id: FakeSession(OUTPUTS[id][0 if yes else 1]) for id, yes in zip(VOTERS, answers, strict=True)
    }
    return make_vote(load_catalogue(), sessions.__getitem__), list(sessions.values())


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("third", [False, True])
def test_two_of_three_decide_and_the_third_is_asked_only_when_needed(
    first: bool, second: bool, third: bool
) -> None:
    made, sessions = vote(first, second, third)
    assert made.flags(BLACK) is (first + second + third >= 2)
    assert [session.runs for session in sessions] == [1, 1, int(first != second)]


def test_networks_see_the_picture_in_rgb_with_their_own_statistics() -> None:
    made, sessions = vote(False, True, False)
    made.flags(np.full((40, 40, 3), (0, 0, 255), np.uint8))
    assert [session.fed[0].shape for session in sessions] == [
        (1, 3, 640, 640),
        (1, 3, 384, 384),
        (1, 3, 448, 448),
    ]
    assert sessions[0].fed[0][0, :, 300, 300].tolist() == [1, 0, 0]
    assert sessions[1].fed[0][0, :, 200, 200].tolist() == [1, -1, -1]


def test_picture_is_centred_on_black_with_its_shape_kept() -> None:
    framed = contained(np.full((10, 40, 3), 255, np.uint8), 80)
    assert framed.shape == (80, 80, 3)
    assert framed[30:50].min() == 255
    assert framed[:30].max() == 0
    assert framed[50:].max() == 0
    assert contained(np.full((1, 5000, 3), 9, np.uint8), 64).max() == 9


def test_video_is_sampled_once_a_second_by_absolute_numbers() -> None:
    assert list(sample_numbers(10, 80, 25.0)) == [25, 50, 75]
    assert list(sample_numbers(0, 3, 0.5)) == [0, 1, 2]
    assert not too_many(1, 10)
    assert too_many(2, 10)
    assert not too_many(0, 0)


def test_threshold_itself_is_not_passed() -> None:
    session = FakeSession(np.float32([0.25, 0.0]))
    voter = Voter(lambda: session, 8, (0, 0, 0), (1, 1, 1), "first-over-second", 0.25)
    assert not voter.flags(BLACK)
