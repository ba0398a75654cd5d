"""The reference cases of processors: pictures that FaceFusion 3.8.1 made with the stand-ins beside the checkout.

``Goldens.error`` runs a case with processors of ours and says how far the result is from the reference.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from mien.faces.neural.analyser import NeuralAnalyser, Setup
from mien.faces.neural.networks import networks_of
from mien.faces.neural.selection import PersonSelector, reference, wanted
from mien.faces.options import GROUPS, DetectorOptions, LandmarkerOptions, SelectorOptions
from mien.inference.runtime import Runtime
from mien.media.probe import probe
from mien.models.store import ModelStore
from mien.options import Options, build, declared
from mien.processors.base import FrameContext, Processor, RunContext
from mien.types import Frame


def parse(words: list[str], groups: tuple[type[Options], ...]) -> dict[str, Any]:
    """The options of some groups among the words of a command."""
    known = {item.flag: item for group in groups for item in declared(group)}
    values: dict[str, Any] = {}
    for position, word in enumerate(words):
        if word not in known:
            continue
        item = known[word]
        given = words_after(words, position)
        convert = {"int": int, "float": float}.get(item.kind, str)
        converted = tuple(convert(value) for value in given)
        values[item.key] = converted if item.many else converted[0]
    return values


def words_after(words: list[str], position: int) -> list[str]:
    """The words that belong to a flag."""
    rest = words[position + 1 :]
    ends = [word.startswith("-") and not word[1:2].isdigit() for word in rest]
    return rest[: [*ends, True].index(True)]


def rescaled(image: Frame, width: int, height: int) -> Frame:
    """As FFmpeg brings a picture to the size of the output: bicubic, by its own scaler."""
    if image.shape[:2] == (height, width):
        return image
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[..., ::-1]), format="rgb24")
    scaled = frame.reformat(width=width, height=height, format="rgb24", interpolation="BICUBIC")
    return np.ascontiguousarray(scaled.to_ndarray()[..., ::-1])


@dataclass(frozen=True)
class Goldens:
    folder: Path
    store: ModelStore
    runtime: Runtime

    @cached_property
    def cases(self) -> dict[str, dict[str, Any]]:
        return {case["id"]: case for case in json.loads((self.folder / "index.json").read_text())["cases"]}

    def error(self, id: str, *chain: Processor[Any, Any], frame: int = 0, compat: bool = True) -> float:
        """Mean absolute error over the pixels that either result changes; ``frame`` is one of a video."""
        target = self.target(id, frame)
        expected = self.expected(id, frame)
        got = rescaled(self.run(id, *chain, frame=frame, compat=compat), expected.shape[1], expected.shape[0])
        off = np.abs(got.astype(int) - expected)
        changed = np.ones(off.shape[:2], bool)
        if target.shape == expected.shape:
            changed = (got != target).any(axis=2) | (expected != target).any(axis=2)
        assert changed.any(), "nothing was done"
        return float(off[changed].mean())

    def run(self, id: str, *chain: Processor[Any, Any], frame: int = 0, compat: bool = True) -> Frame:
        """The frame of a case after some processors, before it is brought to the size of the output."""
        return self.processed(id, *chain, frame=frame, compat=compat).image

    def processed(
        self, id: str, *chain: Processor[Any, Any], frame: int = 0, compat: bool = True
    ) -> FrameContext:
        """The frame of a case as the last processor leaves it."""
        words = self.cases[id]["words"]
        values = parse(words, (*GROUPS, *(processor.Options for processor in chain)))
        options = lambda group: build(group, values)  # noqa: E731
        target = self.target(id, frame)
        setup = Setup.of(options(DetectorOptions), options(LandmarkerOptions), compat=compat)
        analyser = NeuralAnalyser(networks_of(self.store, self.runtime), setup)
        analysis = analyser.analyse(target)
        sources = tuple(self._paths(id, "-s"))
        pictures = [cv2.imread(str(path)) for path in sources if path.suffix != ".wav"]
        selector: SelectorOptions = options(SelectorOptions)
        filters = wanted(selector, [analyser.analyse(np.asarray(picture, np.uint8)) for picture in pictures])
        select = PersonSelector(selector, filters, reference(analysis, selector, filters))
        image, alpha = target.copy(), None
        info = probe(*self._paths(id, "-t"))
        time = frame / float(info.video.rate) if info.video else 0.0
        run = RunContext(
            self.store, self.runtime, analyser, sources, info, options, lambda line: None, compat
        )
        for processor in chain:
            context = FrameContext(
                image,
                target,
                frame,
                time,
                lambda: analysis.faces,
                lambda faces: select(analysis, faces),
                analysis=analysis,
                alpha=alpha,
            )
            processor.process(context, processor.prepare(run, options(processor.Options)))
            image, alpha = context.image, context.alpha
        return context

    def target(self, id: str, frame: int = 0) -> Frame:
        (path,) = self._paths(id, "-t")
        if path.suffix != ".mp4":
            return np.asarray(cv2.imread(str(path)), np.uint8)
        with av.open(str(path)) as container:
            for index, decoded in enumerate(container.decode(video=0)):
                if index == frame:
                    return np.ascontiguousarray(decoded.to_ndarray(format="bgr24"))
        raise AssertionError(f"{path} has no frame {frame}")

    def expected(self, id: str, frame: int = 0) -> Frame:
        """The whole picture, of which a part may be stored."""
        case = self.cases[id]
        stored = case["picture"] if "picture" in case else case["pictures"][f"frame-{frame:04d}.png"]
        part = np.asarray(cv2.imread(str(self.folder / id / stored["file"])), np.uint8)
        if part.shape[1::-1] == tuple(stored["full_size"]):
            return part
        (x, y), (height, width) = stored["offset_xy"], part.shape[:2]
        whole = self.target(id, frame).copy()
        whole[y : y + height, x : x + width] = part
        return whole

    def _paths(self, id: str, flag: str) -> list[Path]:
        words = self.cases[id]["words"]
        if flag not in words:
            return []
        given = words_after(words, words.index(flag))
        return [self.folder / "media" / word.removeprefix("{M}/") for word in given]
