import numpy as np
import pytest

from mien.media.orientation import UPRIGHT, Orientation, from_display_matrix, from_exif

# How a picture must be stored so that the EXIF number makes it upright again.
STORED = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, 1),
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: np.rot90(image, -1),
}


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("shape", [(4, 6, 3), (4, 6)])
def test_exif_numbers(number: int, shape: tuple[int, ...]) -> None:
    image = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    orientation = from_exif(number)
    upright = orientation.apply(np.ascontiguousarray(STORED[number](image)))
    assert np.array_equal(upright, image)
    assert orientation.size(*STORED[number](image).shape[1::-1]) == (6, 4)


def test_unknown_numbers_are_upright() -> None:
    assert from_exif(0) == from_exif(9) == UPRIGHT


@pytest.mark.parametrize(
    ("matrix", "rotation"),
    [
        ((1, 0, 0, 0, 1, 0), 0),
        ((0, 1, 0, -1, 0, 0), 270),
        ((-1, 0, 0, 0, -1, 0), 180),
        ((0, -1, 0, 1, 0, 0), 90),
    ],
)
def test_display_matrices(matrix: tuple[int, ...], rotation: int) -> None:
    image = np.arange(24, dtype=np.uint8).reshape(4, 6)
    orientation = from_display_matrix([65536 * n for n in matrix])
    assert orientation.rotation == rotation
    assert np.array_equal(orientation.apply(image), np.rot90(image, rotation // 90))


def test_mirrored_display_matrix() -> None:
    assert from_display_matrix([-65536, 0, 0, 0, 65536, 0]) == Orientation(flip_x=True)
