"""Runs face swaps by another engine: judged before and after, marked and signed here, whoever did them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from mien.errors import (
    ConsentMissing,
    FetchError,
    InputError,
    MediaTooLarge,
    StorageError,
    StorageRefused,
)
from mien.jobs.job import JobStep
from mien.media.atomic import output_errors
from mien.service.faces import STRICTNESS, beside
from mien.service.intake import describe
from mien.service.remote_engine import RemoteEngine
from mien.service.scratch import ASSET
from mien.service.settings import ServiceSettings
from mien.service.steps import Adopts, StepDone, StepTask

if TYPE_CHECKING:
    from mien.fetch import Fetcher
    from mien.service.asset_rows import Asset

REMOTE: Final = "remote"
"""The environment of steps that the other engine does."""
SWAPPER: Final = "face_swapper"
MODEL: Final = "face_swapper_model"
POSSIBLE: Final = frozenset(
    {
        "source_paths",
        "target_path",
        "output_path",
        "processors",
        "resolution",
        "consent_ref",
        "content_policy",
        "environment",
        MODEL,
    }
)
"""What another engine can be told, or is heeded here."""
_RESULT: Final = re.compile(r"/api/v1/jobs/[^/]+/result\Z")
_SMALLEST, _LARGEST = 100, 9999
"""Pixels of a side in the engine's words."""


class Signs(Protocol):
    """What is needed of the assets."""

    def get(self, id: str, owner: str | None) -> Asset:
        """One asset; raises AssetMissing."""

    def sign(self, asset: Asset, seconds: int) -> str:
        """An address at which anybody can read the content for so long; raises StorageRefused."""


def is_possible(step: JobStep) -> bool:
    """Whether another engine can do a step: one source, and no options but the model."""
    return (
        tuple(step.processors) == (SWAPPER,)
        and len(step.source_paths) == 1
        and POSSIBLE.issuperset(step.args)
    )


@dataclass(frozen=True)
class RemoteSteps:
    """A StepRunner. ``engine`` is called when there is something to judge, ``fetcher`` for a result elsewhere."""

    remote: RemoteEngine
    engine: Callable[[], Adopts]
    assets: Signs
    settings: ServiceSettings
    fetcher: Callable[[], Fetcher]

    def run(self, task: StepTask) -> StepDone:
        """Do a step; raises what ``RemoteEngine.swap``, fetching and ``Engine.adopt_result`` raise."""
        began = time.monotonic()
        target, source = Path(task.step.target_path or ""), Path(task.step.source_paths[0])
        wish = self._wish(task)
        asked = str(task.step.args.get("content_policy") or "off")
        policy = {"content_policy": max(asked, self.settings.content_policy, key=STRICTNESS.index)}
        self.engine().judge((target, source), policy)
        done = self.remote.swap(wish, f"{task.row.id}-{task.index}-{task.row.fence}", task.cancel)
        made = self._fetched(done.url, task)
        output = task.output.with_suffix(made.suffix)
        adopted = self.engine().adopt_result(
            made,
            output,
            operation="edited",
            name=SWAPPER,
            sources=(target, source),
            options=policy,
            must_mark=self.settings.marking_required,
        )
        output = adopted.output
        media = describe(output, max_pixels=1 << 40)
        return StepDone(
            files=(output, *beside(output)),
            frames=media.frames,
            faces=_count(done.facts.get("faces")),
            seconds=time.monotonic() - began,
            models=_names(done.facts.get("models")),
            notices=adopted.notices,
            content=adopted.content,
            signed=adopted.signed,
        )

    def _wish(self, task: StepTask) -> dict[str, Any]:
        """The body of the request. Raises ConsentMissing, and StorageRefused for inputs without an address."""
        consent = task.step.args.get("consent_ref") or task.row.request.get("consent_ref")
        if self.settings.require_consent and not consent:
            raise ConsentMissing(
                "This service asks for consent_ref, a reference to the consent of the people shown."
            )
        stored = task.row.job.steps[task.index]
        wish = {
            "source_url": self._address(stored.source_paths[0], task),
            "target_url": self._address(stored.target_path or "", task),
            "resolution": task.step.args.get("resolution") or _own_size(task.target_media),
            "model": task.step.args.get(MODEL),
            # Engines other than mien may not know the word, and need not hear it.
            "consent_ref": consent,
        }
        return {name: value for name, value in wish.items() if value is not None}

    def _address(self, reference: str, task: StepTask) -> str:
        if not reference.startswith(ASSET):
            raise InputError(
                "Another face engine can work on files of the client only, not on earlier results."
            )
        asset = self.assets.get(reference.removeprefix(ASSET), task.row.owner)
        try:
            return self.assets.sign(asset, self.settings.result_url_seconds)
        except StorageError:
            raise StorageRefused(
                "The other face engine cannot fetch the inputs, since they have no address: set MIEN_PUBLIC_URL to "
                "where this service is reached, or use a storage that signs addresses."
            ) from None

    def _fetched(self, url: str, task: StepTask) -> Path:
        """The result in the folder of the step, with the ending of what it is."""
        folder = task.folder / "remote"
        folder.mkdir()
        path = urlsplit(url).path
        if not self.remote.owns(url) and _RESULT.search(path) and self.remote.is_mien():
            # mien may know itself by another name than the one by which it is reached from here.
            query = urlsplit(url).query
            url = f"{self.remote.url}{path}" + (f"?{query}" if query else "")
        if not self.remote.owns(url):
            return self.fetcher().fetch(url, folder)
        return self._downloaded(url, folder / "result")

    def _downloaded(self, url: str, place: Path) -> Path:
        import httpx2

        from mien.media import formats
        from mien.media.sniff import sniff

        try:
            with self.remote.stream(url) as answer, output_errors(place), place.open("wb") as file:
                if not answer.is_success:
                    raise FetchError(
                        f"The face engine does not give its result out: status {answer.status_code}."
                    )
                for chunk in answer.iter_bytes():
                    if file.write(chunk) and file.tell() > self.settings.max_upload_bytes * 4:
                        raise MediaTooLarge("The result of the face engine is larger than the service keeps.")
        except httpx2.HTTPError:
            raise FetchError("The face engine broke off while it sent its result.") from None
        return place.rename(place.with_suffix(f".{formats.extension(sniff(place).format)}"))


def _own_size(media: Mapping[str, Any]) -> str | None:
    """The target's size, so that nothing is made smaller that nobody wanted smaller."""
    sides = [media.get("width"), media.get("height")]
    if not all(sides):
        return None
    return "x".join(str(min(max(int(side or 0), _SMALLEST), _LARGEST)) for side in sides)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def _names(value: Any) -> tuple[str, ...]:
    return tuple(str(name)[:100] for name in value[:20]) if isinstance(value, list) else ()
