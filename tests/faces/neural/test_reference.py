"""Boxes, landmarks, matrices, embeddings, masks and selections of the reference cases, to the number.

The cases were run by FaceFusion 3.8.1 on the stand-in models that lie beside the checkout.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mien.faces.align import align_matrix, paste_back, transform, warp
from mien.faces.masks import REGIONS, combine
from mien.faces.neural.analyser import Analysis, NeuralAnalyser, Setup
from mien.faces.neural.detectors import candidates
from mien.faces.neural.networks import Networks
from mien.faces.neural.selection import PersonSelector, reference, wanted
from mien.faces.neural.tracker import follow_analyses
from mien.faces.options import (
    DetectorOptions,
    LandmarkerOptions,
    MaskOptions,
    SelectorOptions,
    TrackerOptions,
)
from mien.options import Options, build, declared
from mien.types import Face, Frame
from tests.conftest import SHARED

GOLDENS = SHARED / "goldens"
RELATIVE = 1e-3
PIXEL = 0.001
"""Pixels by which a landmark may be off; numbers in the reference are rounded to 1e-4."""


@cache
def cases() -> dict[str, dict[str, Any]]:
    path = GOLDENS / "index.json"
    if not path.is_file():
        return {}
    listed = json.loads(path.read_text())["cases"]
    return {
        case["id"]: case
        for case in listed
        if case["exit_code"] == 0 and not any(name.endswith(".mp4") for name in case["media"])
    }


@dataclass
class Case:
    facts: dict[str, Any]
    values: dict[str, Any]
    words: list[str]

    def options(self, group: type[Options]) -> Any:
        return build(group, self.values)

    def picture(self, flag: str) -> Path:
        return GOLDENS / self.words[self.words.index(flag) + 1].replace("{M}", "media")


def read_case(id: str) -> Case:
    facts = json.loads((GOLDENS / id / "facts.json").read_text())
    words = cases()[id]["words"]
    return Case(facts, parse(words), words)


def parse(words: list[str]) -> dict[str, Any]:
    """The options of face analysis among the words of a command."""
    known = {
        item.flag: item
        for group in (DetectorOptions, LandmarkerOptions, SelectorOptions, MaskOptions, TrackerOptions)
        for item in declared(group)
    }
    values: dict[str, Any] = {}
    for position, word in enumerate(words):
        if word not in known:
            continue
        rest = words[position + 1 :]
        following = [x.startswith("--") for x in rest] + [True]
        item, given = known[word], rest[: following.index(True)]
        convert = {"int": int, "float": float}.get(item.kind, str)
        converted = tuple(convert(value) for value in given)
        values[item.key] = converted if item.many else converted[0]
    return values


@cache
def read_picture(path: Path) -> Frame:
    return np.asarray(cv2.imread(str(path)), np.uint8)


@pytest.fixture(scope="module")
def analyse(reference_networks: Networks) -> Any:
    """Analyses a picture once for all cases that use it in the same way."""

    @cache
    def analysis(path: Path, setup: Setup) -> Analysis:
        return NeuralAnalyser(reference_networks, setup).analyse(read_picture(path))

    return analysis


def setup_of(case: Case) -> Setup:
    return Setup.of(case.options(DetectorOptions), case.options(LandmarkerOptions), compat=True)


def pictures_of(case: Case) -> dict[str, Path]:
    """The media pictures of a case by the CRC-32 of their pixels."""
    names = {word[4:] for word in case.words if word.startswith("{M}/")}
    paths = [GOLDENS / "media" / name for name in sorted(names)]
    found = [(path, cv2.imread(str(path))) for path in paths]
    return {f"{zlib.crc32(image.tobytes()):08x}": path for path, image in found if image is not None}


def assert_near(got: Any, expected: Any, absolute: float = 0.0) -> None:
    got, expected = np.asarray(got, np.float64).ravel(), np.asarray(expected, np.float64).ravel()
    scale = float(np.abs(expected).max(initial=0.0))
    assert np.abs(got - expected).max(initial=0.0) <= max(RELATIVE * scale, absolute)


@pytest.mark.parametrize(
    "id", list(cases()) or [pytest.param("", marks=pytest.mark.skip("no reference data"))]
)
def test_faces_equal_the_reference(id: str, analyse: Any, reference_networks: Networks) -> None:
    case = read_case(id)
    setup, pictures = setup_of(case), pictures_of(case)
    for entry in case.facts["faces"]:
        analysis: Analysis = analyse(pictures[entry["picture_crc32"]], setup)
        found = candidates(
            read_picture(pictures[entry["picture_crc32"]]),
            reference_networks.detectors(setup.detector, setup.detector_size),
            score=setup.score,
            margin=setup.margin,
            angles=setup.angles,
            compat=True,
        )
        assert len(found) == entry["candidates_before_nms"]
        assert len(analysis.faces) == len(entry["faces"])
        for face, expected in zip(analysis.faces, entry["faces"], strict=True):
            assert_face(analysis, face, expected)


def assert_face(analysis: Analysis, face: Face, expected: dict[str, Any]) -> None:
    marks, wanted_marks = face.landmarks, expected["landmarks"]
    assert np.abs(np.subtract(face.box.as_tuple(), expected["bounding_box"])).max() < PIXEL
    for points, key in (
        (marks.five, "5"),
        (marks.five_of_68, "5/68"),
        (marks.sixty_eight, "68"),
        (marks.sixty_eight_of_five, "68/5"),
    ):
        assert np.abs(points.ravel() - wanted_marks[key]).max() < PIXEL, key
    assert_near([face.score, face.landmark_score], list(expected["scores"].values()))
    assert face.angle == expected["angle"]
    embedding, person = analysis.embedding(face), analysis.attributes(face)
    assert_near(embedding.raw[:8], expected["embedding_first_8"])
    assert_near(np.linalg.norm(embedding.raw), expected["embedding_norm"])
    years = [person.age.start, person.age.stop]
    assert (person.gender, person.race, years) == (expected["gender"], expected["race"], expected["age"])


def select(case: Case, analyse: Any) -> tuple[Analysis, tuple[Face, ...]]:
    setup, options = setup_of(case), case.options(SelectorOptions)
    sources: list[Analysis] = []
    if "-s" in case.words:
        given = case.words[case.words.index("-s") + 1 : case.words.index("-t")]
        paths = [GOLDENS / word.replace("{M}", "media") for word in given]
        sources = [analyse(path, setup) for path in paths if path.suffix != ".wav"]
    target = analyse(case.picture("-t"), setup)
    filters = wanted(options, sources)
    selector = PersonSelector(options, filters, reference(target, options, filters))
    return target, selector(target)


@pytest.mark.parametrize(
    "id", list(cases()) or [pytest.param("", marks=pytest.mark.skip("no reference data"))]
)
def test_selected_faces_equal_the_reference(id: str, analyse: Any) -> None:
    case = read_case(id)
    for entry in case.facts["selected"]:
        _, faces = select(case, analyse)
        assert len(faces) == len(entry["faces"])
        for face, expected in zip(faces, entry["faces"], strict=True):
            assert np.abs(np.subtract(face.box.as_tuple(), expected["bounding_box"])).max() < PIXEL
            assert np.abs(face.landmarks.five_of_68.ravel() - expected["landmarks_5/68"]).max() < PIXEL


@pytest.mark.parametrize(
    "id", list(cases()) or [pytest.param("", marks=pytest.mark.skip("no reference data"))]
)
def test_matrices_equal_the_reference(id: str, analyse: Any) -> None:
    case = read_case(id)
    setup = setup_of(case)
    faces = [face for path in pictures_of(case).values() for face in analyse(path, setup).faces]
    for entry in case.facts["warps"]:
        size = (entry["size"][0], entry["size"][1])
        if size != (1, 1) and not entry["template"].startswith("arcface_112_v2"):
            continue  # those of the processors follow from the same points; see the pasted areas
        got = [
            align_matrix(
                face.landmarks.five if size == (1, 1) else face.landmarks.five_of_68,
                entry["template"],
                size,
                compat=True,
            )
            for face in faces
        ]
        expected = np.array(entry["matrix"]).reshape(2, 3)
        linear = [np.abs(matrix - expected)[:, :2].max() / np.abs(expected[:, :2]).max() for matrix in got]
        shift = [np.abs(matrix - expected)[:, 2].max() / np.abs(expected[:, 2]).max() for matrix in got]
        assert min(np.maximum(linear, shift)) <= RELATIVE


def swap_cases() -> list[str]:
    """Cases with the default swapper on a picture at its own size, whose crops we can make here."""
    return [
        id
        for id, case in cases().items()
        if id.split("-")[0] in ("swap", "mask", "detect", "landmark")
        and "--face-swapper-model" not in case["words"]
        and id != "swap-two-sources"
    ]


def swap(networks: Networks, crop: Frame, source: Analysis) -> Any:
    """The crop after the default swapper at weight 0.5: what the region mask looks at."""
    embedding = source.embedding(max(source.faces, key=lambda face: face.box.area)).unit
    pixels = ((crop[:, :, ::-1] / 255 - 0.5) / 0.5).transpose(2, 0, 1)[None].astype(np.float32)
    session = networks.open("hyperswap_1a_256")
    output = session.run({"source": embedding[None], "target": pixels})[0][0]  # type: ignore[arg-type]
    # Upstream's lists of means make float64 of it, which shows where pasting truncates.
    return ((output.transpose(1, 2, 0).clip(-1, 1) * 0.5 + 0.5).astype(np.float64) * 255)[:, :, ::-1]


@pytest.mark.parametrize(
    "id", swap_cases() or [pytest.param("", marks=pytest.mark.skip("no reference data"))]
)
def test_masks_and_pasted_faces_equal_the_reference(
    id: str, analyse: Any, reference_networks: Networks
) -> None:
    case = read_case(id)
    _, faces = select(case, analyse)
    frame = read_picture(case.picture("-t")).copy()
    masker = reference_networks.masker(case.options(MaskOptions), compat=True)
    source = analyse(case.picture("-s"), setup_of(case))
    kinds = iter(case.facts["masks"])
    for face, paste in zip(faces, case.facts["pastes"], strict=True):
        matrix = align_matrix(face.landmarks.five_of_68, "arcface_128", (256, 256), compat=True)
        assert_near(matrix[:, :2], np.reshape(paste["matrix"], (2, 3))[:, :2])
        assert_near(matrix[:, 2], np.reshape(paste["matrix"], (2, 3))[:, 2])
        crop = warp(frame, matrix, (256, 256), compat=True)
        marks = face.landmarks.sixty_eight
        masks = masker.before(crop, lambda marks=marks, matrix=matrix: transform(marks, matrix))
        swapped = swap(reference_networks, crop, source)
        masks += masker.after(swapped)
        for mask in masks:
            assert_summary(mask, next(kinds)["mask"])
        assert_summary(combine(masks), paste["mask"])
        assert list(paste_back(frame, swapped, combine(masks), matrix, compat=True)) == paste["area"]
    picture = cases()[id]["picture"]
    (x, y), expected = picture["offset_xy"], read_picture(GOLDENS / id / picture["file"])
    result = frame[y : y + expected.shape[0], x : x + expected.shape[1]]
    assert np.abs(result.astype(int) - expected).mean() < 1e-3


def assert_summary(mask: Any, expected: dict[str, Any]) -> None:
    assert list(mask.shape) == expected["shape"]
    assert mask.mean() == pytest.approx(expected["mean"], rel=RELATIVE)
    assert mask.std() == pytest.approx(expected["deviation"], rel=RELATIVE)
    assert [mask.min(), mask.max()] == pytest.approx([expected["min"], expected["max"]], abs=RELATIVE)
    assert_near(grid(mask), expected["grid_8x8"])


def grid(mask: Any) -> Any:
    """Means of 8×8 equal blocks."""
    rows, columns = mask.shape
    return mask.reshape(8, rows // 8, 8, columns // 8).mean(axis=(1, 3))


VIDEO_CASES = (
    "video-tracker",
    "video-no-tracker",
    "video-group-reference",
    "video-swap",
    "video-full-length",
)
FRAMES_PER_CASE = 25
NEIGHBOURS = 2


@cache
def read_frames(path: Path, count: int) -> tuple[Frame, ...]:
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        return tuple(frame.to_ndarray(format="bgr24") for frame, _ in zip(frames, range(count), strict=False))


@pytest.mark.parametrize("id", VIDEO_CASES)
def test_selected_faces_of_videos_equal_the_reference(
    id: str, shared: Path, reference_networks: Networks
) -> None:
    facts = json.loads((shared / "goldens" / id / "facts.json").read_text())
    words = next(
        c["words"] for c in json.loads((GOLDENS / "index.json").read_text())["cases"] if c["id"] == id
    )
    case = Case(facts, parse(words), words)
    entries = facts["selected"][:FRAMES_PER_CASE]
    frames = read_frames(case.picture("-t"), entries[-1]["frame"] + NEIGHBOURS + 1)
    shown = {entry["frame"]: entry["target_crc32"] for entry in facts["frames"]}
    analyser = NeuralAnalyser(reference_networks, setup_of(case))
    analyses = [analyser.analyse(frame) for frame in frames]
    options, tracking = case.options(SelectorOptions), case.options(TrackerOptions).score
    selector = PersonSelector(options, wanted(options))
    if options.mode == "reference":
        model = reference(analyses[options.reference_frame], options, selector.filters)
        selector = PersonSelector(options, selector.filters, model)
    for entry in entries:
        index = entry["frame"]
        assert f"{zlib.crc32(frames[index].tobytes()):08x}" == shown[index]
        faces = analyses[index].faces
        if tracking:
            window = [
                analyses[at] if 0 <= at < len(analyses) else None
                for at in range(index - NEIGHBOURS, index + NEIGHBOURS + 1)
            ]
            faces = follow_analyses(window, tracking, compat=True)
        selected = selector(analyses[index], faces)
        assert len(selected) == len(entry["faces"])
        for face, expected in zip(selected, entry["faces"], strict=True):
            assert face.observed == (expected["origin"] == "detect")
            assert np.abs(np.subtract(face.box.as_tuple(), expected["bounding_box"])).max() < PIXEL
            assert np.abs(face.landmarks.five_of_68.ravel() - expected["landmarks_5/68"]).max() < PIXEL


def test_there_are_reference_cases(shared: Path) -> None:
    assert {"mask-all-types", "swap-group-age", "detect-angles-left"} <= set(cases())
    assert set(REGIONS) >= {"skin", "nose", "mouth"}
