"""The networks of face analysis, made of catalogue entries and sessions, each opened when first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from mien.errors import OptionError
from mien.faces.masks import Masker, Occluder, Parser
from mien.faces.neural.classifier import Classifier
from mien.faces.neural.detectors import Detector
from mien.faces.neural.landmarkers import Estimator, Landmarker
from mien.faces.neural.recogniser import Recogniser
from mien.faces.neural.session import Open
from mien.faces.options import MaskOptions, four_sides

if TYPE_CHECKING:
    from mien.inference.runtime import Runtime
    from mien.models.catalogue import Model
    from mien.models.store import ModelStore

N = TypeVar("N")

MANY = "many"

# What ``many`` stands for, in the order in which results are joined (FaceFusion 3.8.1; yunet is not among
# them).
MANY_DETECTORS = ("retinaface", "scrfd", "yolo_face")
MANY_LANDMARKERS = ("2dfan4", "peppa_wutz")
MANY_OCCLUDERS = ("xseg_1", "xseg_2", "xseg_3")

ESTIMATOR = "fan_68_5"
RECOGNISER = "arcface"
CLASSIFIER = "fairface"


def detector_ids(choice: str) -> tuple[str, ...]:
    """The detectors behind a choice."""
    return MANY_DETECTORS if choice == MANY else (choice,)


def landmarker_ids(choice: str) -> tuple[str, ...]:
    """The landmarkers behind a choice."""
    return MANY_LANDMARKERS if choice == MANY else (choice,)


def occluder_ids(choice: str) -> tuple[str, ...]:
    """The occluders behind a choice."""
    return MANY_OCCLUDERS if choice == MANY else (choice,)


def mask_models(options: MaskOptions) -> tuple[str, ...]:
    """Ids of the models that the masks of a step need."""
    occluders = occluder_ids(options.occluder_model) if "occlusion" in options.types else ()
    return (*occluders, *([options.parser_model] if "region" in options.types else ()))


def networks_of(store: ModelStore, runtime: Runtime) -> Networks:
    """The networks of a store's models (fetched when first needed), run by a runtime."""
    return Networks(store.catalogue, lambda id: runtime.load(store.path(id)))


@dataclass(frozen=True, slots=True)
class Networks:
    """Makes networks by their ids and keeps them; ``open`` gives the session of a model id, asked once."""

    catalogue: Mapping[str, Model]
    open: Open
    _kept: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False)

    def detectors(self, choice: str, size: int | None = None) -> tuple[Detector, ...]:
        """The detectors behind a choice, at an input size in pixels (None: the largest that each takes).

        Raises OptionError for a size that one of them does not take.
        """
        return tuple(self._detector(id, size) for id in detector_ids(choice))

    def landmarkers(self, choice: str) -> tuple[Landmarker, ...]:
        """The landmarkers behind a choice."""
        return tuple(self._network(Landmarker, id) for id in landmarker_ids(choice))

    def estimator(self) -> Estimator:
        """The network that guesses 68 landmarks from five."""
        return self._network(Estimator, ESTIMATOR)

    def recogniser(self) -> Recogniser:
        """The network behind embeddings."""
        return self._network(Recogniser, RECOGNISER)

    def classifier(self) -> Classifier:
        """The network behind gender, age and race."""
        return self._network(Classifier, CLASSIFIER)

    def occluders(self, choice: str) -> tuple[Occluder, ...]:
        """The occluders behind a choice."""
        return tuple(self._network(Occluder, id) for id in occluder_ids(choice))

    def parser(self, id: str) -> Parser:
        """A parser of face regions."""
        return self._network(Parser, id)

    def masker(self, options: MaskOptions, *, compat: bool = False) -> Masker:
        """The masks that a step's options ask for; occluders and parser are opened when a mask needs them."""
        return Masker(
            types=options.types,
            blur=options.blur,
            padding=four_sides(options.padding),
            areas=options.areas,
            regions=options.regions,
            occluders=lambda: self.occluders(options.occluder_model),
            parser=lambda: self.parser(options.parser_model),
            compat=compat,
        )

    def _detector(self, id: str, size: int | None) -> Detector:
        sizes = self.catalogue[id].params["sizes"]
        if size is not None and size not in sizes:
            allowed = ", ".join(f"{side}x{side}" for side in sizes)
            raise OptionError(f"The face detector {id} has no size {size}x{size}: choose from {allowed}.")
        return self._network(Detector, id, size=size or sizes[-1])

    def _network(self, kind: Callable[..., N], id: str, **extra: Any) -> N:
        """A network of a kind, made with the parameters of its catalogue entry (lists as tuples)."""
        key = (id, *map(str, extra.values()))
        if key not in self._kept:
            params = {name: value for name, value in self.catalogue[id].params.items() if name != "sizes"}
            values = {
                name: tuple(value) if isinstance(value, list) else value for name, value in params.items()
            }
            self._kept[key] = kind(id, self.open(id), **values, **extra)
        network: N = self._kept[key]
        return network
