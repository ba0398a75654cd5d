"""HDR pictures (PQ or HLG, BT.2020) to SDR BT.709, on arrays.

FFmpeg's own conversion builds a colour table for seconds of CPU before its first frame; this one is as
fast per frame and begins at once. Highlights are compressed by the curve of ITU-R BT.2390-11 (section
5.4.1), applied to the brightest channel so that hues stay; diffuse white (203 cd/m² after ITU-R
BT.2408) comes out at about 90 % of the scale.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.media.color import HLG
from mien.types import Frame

PEAK: Final = 1000.0
"""cd/m²: what most HDR is mastered for, and the nominal peak of HLG; brighter parts are clipped."""

SDR_WHITE: Final = 203.0
"""cd/m² of the source's light that becomes full white."""

_TABLE: Final = 4096

# Linear BT.2020 to BT.709 (ITU-R BT.2087-0), rows and columns in BGR order.
_MATRIX: Final = np.array(
    [[1.1187, -0.1006, -0.0182], [-0.0083, 1.1329, -0.1246], [-0.0728, -0.5876, 1.6605]], np.float32
)

# Luminance of linear BT.2020 (ITU-R BT.2100), in BGR order.
_LUMINANCE: Final = np.array([[0.0593, 0.6780, 0.2627]], np.float32)


class ToneMapper:
    """Maps H×W×3 uint16 BGR (full scale, PQ or HLG coded) to H×W×3 uint8 BGR. Tables only: safe to
    share.
    """

    def __init__(self, transfer: int) -> None:
        codes = np.linspace(0, 1, _TABLE)
        self._is_hlg = transfer == HLG
        # Light of each code, 1 at the peak.
        light = _hlg_scene_light(codes) if self._is_hlg else np.minimum(_pq_light(codes) / PEAK, 1)
        self._light = light.astype(np.float32)
        self._gain = _gain(codes).astype(np.float32)
        # The square root spreads the dark tones over the table; 2.4 is the exponent of ITU-R BT.1886.
        self._encoded = np.round(255 * codes ** (2 / 2.4)).astype(np.uint8)

    def __call__(self, image: NDArray[np.uint16]) -> Frame:
        """Tone-map one picture."""
        light = self._light.take(image >> 4)
        if self._is_hlg:
            # The system gamma of 1.2 works on luminance.
            luminance = cv2.transform(light, _LUMINANCE)
            light *= np.power(np.maximum(luminance, 1e-6), 0.2)[..., None]
        brightest = cv2.max(cv2.max(light[..., 0], light[..., 1]), light[..., 2])
        light *= self._gain.take(_index(brightest))[..., None]
        return np.asarray(self._encoded.take(_index(cv2.transform(light, _MATRIX))))


def _index(light: NDArray[Any]) -> NDArray[np.uint16]:
    """Position in a table over the square root of light between 0 and 1."""
    root = np.asarray(cv2.sqrt(np.clip(light, 0, 1)))
    return (root * (_TABLE - 1) + 0.5).astype(np.uint16)


def _gain(roots: NDArray[np.float64]) -> NDArray[np.float64]:
    """Factor on light (1 at the peak) that gives SDR light (1 at SDR white), over the square root of
    light.
    """
    nits = np.maximum(roots**2, 1e-7) * PEAK
    top = float(_pq_code(np.array(PEAK)))
    scaled = _pq_code(nits) / top
    mapped = _pq_light(_eetf(scaled, float(_pq_code(np.array(SDR_WHITE))) / top) * top)
    return np.asarray(mapped / SDR_WHITE / (nits / PEAK))


def _eetf(code: NDArray[np.float64], top: float) -> NDArray[np.float64]:
    """BT.2390's curve: straight up to a knee, then a Hermite spline that ends at ``top``."""
    knee = 1.5 * top - 0.5
    t = np.clip((code - knee) / (1 - knee), 0, 1)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * top
    )
    return np.where(code < knee, code, spline)


# SMPTE ST 2084.
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def _pq_light(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """cd/m² of a PQ code between 0 and 1."""
    power = np.power(code, 1 / _M2)
    return np.asarray(10000 * np.power(np.maximum(power - _C1, 0) / (_C2 - _C3 * power), 1 / _M1))


def _pq_code(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    power = np.power(nits / 10000, _M1)
    return np.asarray(np.power((_C1 + _C2 * power) / (1 + _C3 * power), _M2))


def _hlg_scene_light(code: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scene light, 0 to 1, of an HLG code (ITU-R BT.2100)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
