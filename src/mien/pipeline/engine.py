"""The engine: owns the models and the inference runtime, and runs steps. Any number of threads may share one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mien.pipeline.auditing import Audit, check_consent
from mien.pipeline.plan import Plan, make_plan
from mien.pipeline.preparing import MakeAnalyser, Workshop, prepare
from mien.pipeline.preview import Preview, Previews
from mien.pipeline.progress import Cancel, Meter, Report
from mien.pipeline.registry import AnyProcessor, Registry
from mien.pipeline.step import PathInput, Result, Step, paths
from mien.settings import Settings

if TYPE_CHECKING:
    from mien.faces.analyser import Analyser
    from mien.models import Download
    from mien.pipeline.adopting import Adopted, Making
    from mien.pipeline.job import Job, Outcome
    from mien.pipeline.live import LiveSession
    from mien.pipeline.parts import GivenPlace, Part, Parts
    from mien.pipeline.policy import Verdict
    from mien.pipeline.scan import Moment
    from mien.safety.signer import Signer
    from mien.types import Face, Frame, Place

Notice = Callable[[str], None]


class Engine:
    """Runs steps with one set of settings. A context manager; two engines share nothing.

    ``processors`` replaces the installed ones, ``make_analyser`` what finds faces. ``on_notice`` is told one line at a
    time, ``on_download`` how far downloads of models are; both may be called from any thread that runs a step.
    ``signer`` signs outputs in the place of the settings' key, such as one whose key never leaves its hardware.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        processors: Mapping[str, AnyProcessor] | None = None,
        make_analyser: MakeAnalyser | None = None,
        on_notice: Notice | None = None,
        on_download: Callable[[Download], None] | None = None,
        signer: Signer | None = None,
    ) -> None:
        from mien.inference.runtime import Runtime
        from mien.models.catalogue import load_catalogue
        from mien.models.store import ModelStore

        self.settings = settings or Settings.from_environment()
        self.processors: Mapping[str, AnyProcessor] = Registry() if processors is None else processors
        self.models = ModelStore(self.settings, load_catalogue(), progress=on_download)
        self.runtime = Runtime(self.settings)
        self._shop = Workshop(self.settings, self.models, self.runtime, make_analyser)
        self._previews = Previews(self._shop, self.processors)
        self._signer = signer
        self._on_notice = on_notice or (lambda line: None)
        self._blas = _OneBlasThread()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all loaded models, and of what is kept for previews."""
        self._previews.close()
        self.runtime.close()

    def run(self, step: Step, *, on_progress: Report | None = None, cancel: Cancel | None = None) -> Result:
        """Do one step. ``on_progress`` is called in this thread.

        An interrupted video keeps its finished segments, and the same step goes on from there. Raises a MienError
        with one sentence for everything that is wrong with the step, its files, or the machine; Canceled when
        ``cancel`` was set.
        """
        started = time.monotonic()
        notices: list[str] = []

        def notice(line: str) -> None:
            if line not in notices:
                notices.append(line)
                self._on_notice(line)

        cancel = cancel or Cancel()
        cancel.raise_if_set()
        from mien.pipeline.provenance import make_provenance

        with self._blas, Audit(step, self.settings) as audit:
            self.runtime.check_providers()
            plan = make_plan(step, self.processors, self.models, self.settings, notice)
            provenance = make_provenance(plan, self.settings, self._signer, notice)
            job = prepare(self._shop, plan, Meter(on_progress), cancel, notice, provenance)
            try:
                outcome = _runner(plan)(job)
            finally:
                self._let_go(job)
            if plan.needs_faces and not outcome.faces:
                notice(f"No face was worked on in {step.target}; the output shows what the target does.")
            result = self._result(job, outcome, time.monotonic() - started, notices)
            audit.completed(result)
        return result

    @staticmethod
    def _result(job: Job, outcome: Outcome, seconds: float, notices: Iterable[str]) -> Result:
        plan = job.plan
        return Result(
            output=plan.step.output,
            kind=plan.kind,
            frames=outcome.frames,
            seconds=seconds,
            faces=outcome.faces,
            models=job.models,
            notices=tuple(notices),
            content=outcome.content,
            resumed_segments=outcome.resumed_segments,
            signed=outcome.signed,
            watermark=job.provenance.watermark_id,
        )

    def detect(
        self, path: PathInput, options: Mapping[str, Any] | None = None, *, frame: int = 0
    ) -> tuple[Frame, tuple[Face, ...]]:
        """A picture, or one frame of a video, and all faces in it; raises what reading and model loading raise."""
        from mien.pipeline.frames import Frames

        with self._blas:
            image = Frames(Path(path), self.settings.max_pixels).read(frame).image
            return image, self._finding(options or {}).faces(image)

    def scan(
        self,
        path: PathInput,
        options: Mapping[str, Any] | None = None,
        *,
        every: float = 1.0,
        thumbnails: tuple[int, int] | None = (160, 90),
        cancel: Cancel | None = None,
    ) -> Iterator[Moment]:
        """Moments of a video, one for about ``every`` seconds, with the faces there and a thumbnail, in their order.

        Only the frames that are looked at, and those that they depend on, are decoded; each is looked at when it is
        asked for, so leaving the loop ends the work. A key frame near a moment stands for it. ``thumbnails``: size
        (width, height) into which they are fitted. A picture is one moment. Raises OptionError, what reading and model
        loading raise, and Canceled.
        """
        from mien.pipeline.frames import Frames
        from mien.pipeline.scan import check_scan, scan

        check_scan(every, thumbnails)
        frames, analyser = Frames(Path(path), self.settings.max_pixels), self._finding(options or {})

        def looks() -> Iterator[Moment]:
            with self._blas:
                yield from scan(frames, analyser, every, thumbnails, cancel or Cancel())

        return looks()

    def _finding(self, values: Mapping[str, Any]) -> Analyser:
        """What finds faces outside of a step, with its models brought."""
        from mien.faces.analyser import make_analyser
        from mien.options import build, check_keys
        from mien.pipeline.output_options import GROUPS

        check_keys(values, GROUPS)
        self.runtime.check_providers()
        make = self._shop.make_analyser or make_analyser
        analyser = make(self.models, self.runtime, lambda group: build(group, values))
        self.models.fetch(analyser.models())
        return analyser

    def preview(
        self, step: Step, frame: int = 0, *, cancel: Cancel | None = None, size: int | None = None
    ) -> Preview:
        """What a step makes of one frame of its target (picture or video), counted from 0; nothing is written.

        The step's output is not looked at, and neither are the options that say how it is written; badge and
        watermark belong to the output. ``size``: longest side in pixels to which the frame is scaled down before
        the work, for speed. What is prepared is kept for the next preview; previews of one step wait for each other.
        Raises what ``run`` raises, but never NoFace for a frame without a face.
        """
        cancel = cancel or Cancel()
        check_consent(step.options, self.settings)
        with self._blas:
            self.runtime.check_providers()
            return self._previews.make(step, frame, cancel, size)

    def live(
        self,
        sources: PathInput | Iterable[PathInput] = (),
        processors: str | Iterable[str] = ("face_swapper",),
        options: Mapping[str, Any] | None = None,
        *,
        rate: float = 30.0,
        size: tuple[int, int] = (1280, 720),
    ) -> LiveSession:
        """Prepare to work on a live picture of about ``rate`` frames a second and ``size`` (width, height) pixels.

        Built-in models are used where the options name none. The session is a context manager; it leaves one record
        in the audit log. Raises what ``run`` raises, and OptionError for processors and options that need to look at
        later frames.
        """
        from mien.pipeline.live import TARGET, camera, open_live

        step = Step(TARGET, TARGET, paths(sources), processors, options or {})  # type: ignore[arg-type]
        with ExitStack() as around:
            around.enter_context(self._blas)
            around.enter_context(Audit(step, self.settings))
            self.runtime.check_providers()
            target = camera(rate, size)
            session = open_live(self._shop, self.processors, step, target, self._on_notice)
            around.callback(self._let_go, session.job)
            session.leave_with(around.pop_all())
        return session

    def parts(self, step: Step, *, on_progress: Report | None = None, cancel: Cancel | None = None) -> Parts:
        """How the video of a step can be divided among several machines, which then call ``make_part``.

        Raises what ``run`` raises before it works on frames.
        """
        from mien.pipeline.parts import parts_of

        with self._opened(step, on_progress, cancel) as job:
            return parts_of(job)

    def scout(
        self, step: Step, *, on_progress: Report | None = None, cancel: Cancel | None = None
    ) -> tuple[Place | None, ...]:
        """The ``place`` that each part is to be given, where parts are not ``parallel``.

        Quick where one face only is seen; where there are several, the video is read and analysed once, and nothing
        is worked on.
        """
        from mien.pipeline.parts import scout

        with self._opened(step, on_progress, cancel) as job:
            return scout(job)

    def make_part(
        self,
        step: Step,
        index: int,
        *,
        place: GivenPlace = "find",
        on_progress: Report | None = None,
        cancel: Cancel | None = None,
    ) -> Part:
        """Make one part of a video in the work folder, or find it there; ``index`` counts from 0.

        ``place`` is what ``scout`` said of the part, or the place in the note of the part before it; without one it
        is searched for. The content policy judges the parts together, when they are joined; until then it only
        counts. Nothing is signed, and only a part that fails is noted in the audit log. Raises what ``run`` raises.
        """
        from mien.pipeline.parts import make_part

        with self._opened(step, on_progress, cancel) as job:
            return make_part(job, index, place)

    def adopt_part(self, step: Step, index: int, file: PathInput, note: Mapping[str, Any]) -> Part:
        """Take a part that another machine made into the work folder; when all are there, ``run`` only joins them.

        That the file is the one that was made is for the caller to check, by a hash. Raises InputError for a note of
        other work, CorruptMedia for a file that does not hold the frames of its note.
        """
        from mien.pipeline.parts import adopt_part

        with self._opened(step, None, None) as job:
            return adopt_part(job, index, Path(file), note)

    def seal_joined(
        self, parts: Sequence[Path], output: Path, on_notice: Notice | None = None
    ) -> Callable[[Path], None] | None:
        """What signs a video that others were joined into, given its file; None where nobody signs.

        The parts are named in the signature, with their own. Raises SigningFailed, at once and when it is called,
        where the settings require a signature.
        """
        from mien.pipeline.provenance import seal_joined

        return seal_joined(parts, output, self.settings, self._signer, on_notice or self._on_notice)

    def judge(self, files: Iterable[PathInput], options: Mapping[str, Any] | None = None) -> Verdict:
        """What the content policy of the options says of pictures and videos that are given away to be worked on.

        ``unchecked`` without the content models. Raises UnsafeInput, which names the file, if the policy refuses, and
        what reading raises.
        """
        from mien.options import build
        from mien.pipeline.policy import judge
        from mien.safety.content import ContentOptions

        policy = build(ContentOptions, options or {})
        with self._blas:
            return judge(paths(files), policy, self.models, self.runtime, self.settings.max_pixels)

    def adopt_result(
        self,
        made: PathInput,
        output: PathInput,
        *,
        operation: Making,
        name: str,
        sources: Iterable[PathInput] = (),
        models: Iterable[str] = (),
        options: Mapping[str, Any] | None = None,
        must_mark: bool = False,
    ) -> Adopted:
        """Make a file that something else made an output: judged by the content policy, marked, signed.

        ``name`` says what made it, ``sources`` are the files that it was made of, what was worked on first; ``judge``
        looks at these before the work. The ending of ``output`` must be that of what ``made`` holds; nothing is encoded
        again but pictures of a format without a place for marks, which become PNG, under that ending. Sounds are not
        judged. No record is left in the audit log. Raises UnsafeInput, after which there is no output, SigningFailed
        where a signature is required, CorruptMedia, UnsupportedMedia, also where marks cannot be placed and
        ``must_mark`` is set, DiskFull, OutputNotWritable.
        """
        from mien.options import build
        from mien.pipeline.adopting import Adopted, Made, adopt
        from mien.pipeline.output_options import OutputOptions

        notices: list[str] = []
        content = self.judge([made], options)
        found = Made(Path(made), Path(output), operation, name, paths(sources), tuple(models))
        marked = build(OutputOptions, options or {}).marking
        place, signed = adopt(
            found, self.settings, self._signer, notices.append, marked=marked, must_mark=must_mark
        )
        return Adopted(content, signed, tuple(notices), place)

    @contextmanager
    def _opened(self, step: Step, on_progress: Report | None, cancel: Cancel | None) -> Iterator[Job]:
        """A step that is prepared for work on its parts."""
        from mien.pipeline.provenance import make_provenance

        cancel = cancel or Cancel()
        cancel.raise_if_set()
        unsigned = self.settings.model_copy(update={"signing": "off"})
        with self._blas, Audit(step, self.settings, part=True):
            self.runtime.check_providers()
            plan = make_plan(step, self.processors, self.models, self.settings, self._on_notice)
            provenance = make_provenance(plan, unsigned, None, self._on_notice)
            job = prepare(self._shop, plan, Meter(on_progress), cancel, self._on_notice, provenance)
            try:
                yield job
            finally:
                self._let_go(job)

    def _let_go(self, job: Job) -> None:
        """Release the models that a step need not leave behind; another run that uses them keeps them."""
        from mien.pipeline.policy import policy_models

        plan, strategy = job.plan, self.settings.memory_strategy
        if strategy == "tolerant":
            return
        ids = {*plan.models} - {*job.analyser.models()}
        if strategy == "strict":
            ids = {*job.models, *policy_models(plan, self.models)}
        self.runtime.release([path for id in ids for path in self.models.paths(id)])


def swap(
    source: PathInput | Iterable[PathInput],
    target: PathInput,
    output: PathInput,
    *,
    settings: Settings | None = None,
    on_progress: Report | None = None,
    cancel: Cancel | None = None,
    **options: Any,
) -> Result:
    """Put the face of ``source`` (one picture or several of one person) onto the faces of ``target``.

    ``options`` are the keys of all options, such as ``face_swapper_model="mesh"`` or ``output_video_quality=70``.

        mien.swap("me.jpg", "clip.mp4", "out.mp4")
    """
    with Engine(settings) as engine:
        step = Step(Path(target), Path(output), paths(source), ("face_swapper",), options)
        return engine.run(step, on_progress=on_progress, cancel=cancel)


def _runner(plan: Plan) -> Callable[[Job], Outcome]:
    if plan.kind == "image":
        from mien.pipeline.image import run_image

        return run_image
    from mien.pipeline.video import run_video

    return run_video


class _OneBlasThread:
    """Keeps the linear algebra behind NumPy to one thread while any run of the engine lasts: frames run in parallel.

    OpenCV has no such limit that could be undone for one run only, so its own threads are switched off for the process.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs = 0
        self._limits = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            self._runs += 1
            if self._runs == 1:
                import cv2
                from threadpoolctl import threadpool_limits

                cv2.setNumThreads(1)
                self._limits.enter_context(threadpool_limits(1, user_api="blas"))

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._runs -= 1
            if self._runs == 0:
                self._limits.pop_all().close()
