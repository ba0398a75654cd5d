"""The six networks of LivePortrait and how they are fed. A loaded set may be used from many threads at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.faces.neural.session import check, only_output, planes
from mien.inference.session import Feeds, Session
from mien.processors.base import RunContext
from mien.processors.live_portrait.motion import POINTS, KeyPoints, Motion
from mien.processors.live_portrait.parts import model_ids
from mien.types import Frame

Features: TypeAlias = NDArray[np.float32]
"""The feature volume, 1×32×16×64×64: what the generator draws."""

CROP = 512
"""Side of the crop that goes in and of the picture that comes out."""
SEEN = 256
"""Side at which the extractors look at the crop."""

_POINTS_SHAPE = (1, POINTS, 3)


@dataclass(frozen=True, slots=True)
class LivePortrait:
    """The loaded networks, by the name of their part."""

    sessions: dict[str, Session]
    compat: bool = False

    @classmethod
    def load(cls, run: RunContext, parts: Sequence[str]) -> LivePortrait:
        """Open networks; the runtime keeps them, so the editor and the restorer share theirs. Raises ModelError."""
        ids = zip(parts, model_ids(parts), strict=True)
        return cls({part: run.runtime.load(run.models.path(id)) for part, id in ids}, run.compat)

    def features(self, crop: Frame) -> Features:
        """The feature volume of a 512×512 BGR crop."""
        outputs = self._run("feature_extractor", [self._seen(crop)])
        return only_output("live_portrait_feature_extractor", outputs, (1, None, None, None, None))

    def motion(self, crop: Frame) -> Motion:
        """Pose and expression of a 512×512 BGR crop. Raises ModelCorrupt."""
        outputs = self._run("motion_extractor", [self._seen(crop)])
        sizes = [1, 1, 1, 1, 3, POINTS * 3, POINTS * 3]
        check("live_portrait_motion_extractor", [output.size for output in outputs] == sizes, outputs)
        pitch, yaw, roll, scale = (float(output.reshape(())) for output in outputs[:4])
        translation, expression, points = (np.asarray(output, np.float32) for output in outputs[4:])
        return Motion(
            angles=(pitch, yaw, roll),
            scale=scale,
            translation=translation.reshape(3),
            expression=expression.reshape(POINTS, 3),
            points=points.reshape(POINTS, 3),
        )

    def retarget(self, part: str, points: KeyPoints, numbers: Sequence[float]) -> KeyPoints:
        """By how much an opening (``eye_retargeter``, ``lip_retargeter``) moves the key-points.

        ``numbers``: the ratios at which the eyes or lips stand open, and the wanted one.
        """
        feed = np.concatenate([points.ravel(), np.array(numbers, np.float32)])[None]
        outputs = self._run(part, [feed])
        check(f"live_portrait_{part}", bool(outputs) and outputs[0].size == POINTS * 3, outputs)
        return np.asarray(outputs[0], np.float32).reshape(POINTS, 3)

    def stitch(self, wanted: KeyPoints, original: KeyPoints) -> KeyPoints:
        """The wanted key-points, corrected so that shoulders and hair fit the picture's own."""
        outputs = self._run("stitcher", {"source": wanted[None], "target": original[None]})
        return np.asarray(only_output("live_portrait_stitcher", outputs, _POINTS_SHAPE)[0], np.float32)

    def draw(self, features: Features, wanted: KeyPoints, original: KeyPoints) -> NDArray[Any]:
        """The face with the wanted key-points: 512×512×3 BGR, 0 to 255, bytes with ``compat``, else float32."""
        feeds = {"feature_volume": features, "source": wanted[None], "target": original[None]}
        outputs = self._run("generator", feeds)
        drawn = only_output("live_portrait_generator", outputs, (1, 3, CROP, CROP))[0]
        pixels = drawn.transpose(1, 2, 0)[..., ::-1].clip(0, 1) * np.float32(255)
        return np.ascontiguousarray(pixels, np.uint8 if self.compat else np.float32)

    def _seen(self, crop: Frame) -> NDArray[np.float32]:
        small = cv2.resize(crop, (SEEN, SEEN), interpolation=cv2.INTER_AREA)
        return planes(small, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), rgb=True)

    def _run(self, part: str, feeds: Feeds) -> list[NDArray[Any]]:
        return self.sessions[part].run(feeds)
