"""The node classes that every fake has: pictures, video, sound and text, and a sampler that only takes time."""

from __future__ import annotations

import hashlib
import io
import tempfile
import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from mien.testing.comfyui.files import Folders, Image, Outside, png, read
from mien.testing.comfyui.nodes import Blocked, Input, Node, Result, Run

METHODS: Final = ("nearest-exact", "bilinear", "area", "bicubic", "lanczos")
_FLAGS: Final = dict(
    zip(
        METHODS,
        (cv2.INTER_NEAREST_EXACT, cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4),
        strict=True,
    )
)
CHECKPOINTS: Final = ("v1-5-pruned-emaonly-fp16.safetensors", "sd_xl_base_1.0.safetensors")
UPSCALERS: Final = ("RealESRGAN_x4plus.pth", "4x-UltraSharp.pth")


def number(kind: str, default: float, low: float, high: float) -> Input:
    """An input that is a number."""
    return [kind, {"default": default, "min": low, "max": high, "step": 1 if kind == "INT" else 0.01}]


def options(*values: str) -> Input:
    """An input that is one of several values."""
    return [list(values), {}]


def _side(default: int = 512) -> Input:
    return number("INT", default, 1, 16384)


IMAGE: Final[Input] = ["IMAGE", {"tooltip": ""}]
STRING: Final[Input] = ["STRING", {"default": "", "multiline": True}]
PREFIX: Final[Input] = ["STRING", {"default": "ComfyUI"}]
SEED: Final[Input] = [
    "INT",
    {"default": 0, "min": 0, "max": 0xFFFFFFFFFFFFFFFF, "control_after_generate": True},
]


def _file_of(folders: Folders, name: object) -> Path | None:
    try:
        path = folders.annotated(str(name))
    except Outside:
        return None
    return path if path.is_file() else None


def _check_file(folders: Folders, inputs: Mapping[str, Any]) -> str | None:
    name = inputs.get("image")
    return None if _file_of(folders, name) else f"image - Invalid image file: {name}"


def _content(folders: Folders, inputs: Mapping[str, Any]) -> str:
    path = _file_of(folders, inputs.get("image"))
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else ""


def _load(run: Run, image: str) -> Result:
    path = run.folders.annotated(image)
    picture = read(path) if path.is_file() else None
    if picture is None:
        raise ValueError(f"cannot identify image file '{path}'")
    if picture.ndim == 2:
        picture = np.repeat(picture[:, :, None], 3, axis=2)
    mask = picture[:, :, 3] if picture.shape[2] == 4 else np.full(picture.shape[:2], 255, np.uint8)
    return Result(([np.ascontiguousarray(picture[:, :, :3])], [mask]))


def _empty(run: Run, width: int, height: int, batch_size: int, color: int) -> Result:
    blue_green_red = np.array([color & 255, color >> 8 & 255, color >> 16 & 255], np.uint8)
    return Result(([np.tile(blue_green_red, (height, width, 1)) for _ in range(batch_size)],))


def _scale(run: Run, image: list[Image], upscale_method: str, width: int, height: int, crop: str) -> Result:
    return Result(
        ([cv2.resize(one, (width, height), interpolation=_FLAGS[upscale_method]) for one in image],)
    )


def _scale_by(run: Run, image: list[Image], upscale_method: str, scale_by: float) -> Result:
    height, width = (max(1, round(side * scale_by)) for side in image[0].shape[:2])
    return _scale(run, image, upscale_method, width, height, "disabled")


def _invert(run: Run, image: list[Image]) -> Result:
    return Result(([np.bitwise_not(one) for one in image],))


def _write(
    run: Run, kind: str, prefix: str, ending: str, data: bytes, size: tuple[int, int]
) -> dict[str, str]:
    path, name, subfolder = run.folders.next_name(kind, prefix, ending, size)
    path.write_bytes(data)
    return {"filename": name, "subfolder": subfolder, "type": kind}


def _save(run: Run, images: list[Image], filename_prefix: str, kind: str = "output") -> Result:
    items = [
        _write(run, kind, filename_prefix, "png", png(one, run.metadata()), (one.shape[1], one.shape[0]))
        for one in images
    ]
    return Result((images,), {"images": items})


def _preview(run: Run, images: list[Image]) -> Result:
    return _save(run, images, "ComfyUI_temp_fakes", "temp")


def _save_webp(run: Run, images: list[Image], filename_prefix: str, fps: float) -> Result:
    animation = cv2.Animation()
    animation.frames = images
    animation.durations = [round(1000 / fps)] * len(images)
    data = cv2.imencodeanimation(".webp", animation)[1].tobytes()
    item = _write(run, "output", filename_prefix, "webp", data, (0, 0))
    return Result((), {"images": [item], "animated": [True]})


def _create_video(run: Run, images: list[Image], fps: float, audio: Any = None) -> Result:
    return Result(((images, fps),))


def _save_video(run: Run, video: tuple[list[Image], float], filename_prefix: str) -> Result:
    images, fps = video
    height, width = images[0].shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
        for image in images:
            writer.write(image)
        writer.release()
        item = _write(run, "output", filename_prefix, "mp4", path.read_bytes(), (width, height))
    return Result((), {"images": [item], "animated": [True]})


def _empty_audio(run: Run, duration: float, sample_rate: int) -> Result:
    return Result(((round(duration * sample_rate), sample_rate),))


def _save_audio(run: Run, audio: tuple[int, int], filename_prefix: str) -> Result:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(audio[1])
        writer.writeframes(bytes(2 * audio[0]))
    item = _write(run, "output", filename_prefix, "wav", file.getvalue(), (0, 0))
    return Result((), {"audio": [item]})


def _any(run: Run, source: Any) -> Result:
    return Result((), {"text": [str(source)]})


def _checkpoint(run: Run, ckpt_name: str) -> Result:
    return Result((ckpt_name, ckpt_name, ckpt_name))


def _encode(run: Run, text: str, clip: str) -> Result:
    return Result((text,))


def _latent(run: Run, width: int, height: int, batch_size: int) -> Result:
    return Result(((width, height, batch_size),))


def _sample(run: Run, latent_image: tuple[int, int, int], seed: int, steps: int, **inputs: Any) -> Result:
    width, height, count = latent_image
    shade = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)
    images = [cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in shade]
    for step in range(steps):
        run.wait(0.01)
        run.progress(step + 1, steps)
        run.preview(images[0])
    return Result((images,))


def _decode(run: Run, samples: list[Image], vae: str) -> Result:
    return Result((samples,))


def _upscaler(run: Run, model_name: str) -> Result:
    return Result((4,))


def _upscale(run: Run, upscale_model: int, image: list[Image]) -> Result:
    return _scale_by(run, image, "lanczos", upscale_model)


def _steps(
    run: Run, image: list[Image], steps: int, delay: float, fail_at: int, preview: bool, salt: int
) -> Result:
    for step in range(steps):
        if step == fail_at:
            raise ValueError(f"probe failure at step {step}\n")
        run.wait(delay)
        run.progress(step + 1, steps)
        if preview:
            run.preview(image[0])
    return Result((image,))


def _stubborn(run: Run, image: list[Image], seconds: float, salt: int) -> Result:
    run.wait(seconds)
    return Result((image,))


def _block(run: Run, image: list[Image], message: str) -> Result:
    return Result((Blocked(message),))


def _progress_text(run: Run, text: str, salt: int) -> Result:
    run.text(text)
    return _text(run, text)


def _text(run: Run, text: str) -> Result:
    return Result((text,), {"text": [text]})


def _slow_out(run: Run, text: str, seconds: float) -> Result:
    run.wait(seconds)
    return Result((text,), {"text": [text]})


def _expand(run: Run, image: list[Image], salt: int) -> Result:
    run.inner("0.0.1")
    return _invert(run, image)


def _whole(name: str, default: int, low: int, high: int) -> dict[str, Input]:
    return {name: number("INT", default, low, high)}


_SALT: Final = _whole("salt", 0, 0, 2**53)
_SECONDS: Final[dict[str, Input]] = {"seconds": number("FLOAT", 1.0, 0.0, 600.0)}

BUILTIN: Final[tuple[Node, ...]] = (
    Node(
        "LoadImage",
        _load,
        {"image": [["example.png"], {"image_upload": True}]},
        output=("IMAGE", "MASK"),
        check=_check_file,
        fingerprint=_content,
        unchecked=frozenset({"image"}),
    ),
    Node(
        "EmptyImage",
        _empty,
        {
            "width": _side(),
            "height": _side(),
            "batch_size": number("INT", 1, 1, 4096),
            "color": number("INT", 0, 0, 0xFFFFFF),
        },
        output=("IMAGE",),
    ),
    Node(
        "ImageScale",
        _scale,
        {
            "image": IMAGE,
            "upscale_method": options(*METHODS),
            "width": number("INT", 512, 0, 16384),
            "height": number("INT", 512, 0, 16384),
            "crop": options("disabled", "center"),
        },
        output=("IMAGE",),
    ),
    Node(
        "ImageScaleBy",
        _scale_by,
        {
            "image": IMAGE,
            "upscale_method": options(*METHODS),
            "scale_by": number("FLOAT", 1.0, 0.01, 8.0),
        },
        output=("IMAGE",),
    ),
    Node("ImageInvert", _invert, {"image": IMAGE}, output=("IMAGE",)),
    Node(
        "SaveImage", _save, {"images": IMAGE, "filename_prefix": PREFIX}, output=("IMAGE",), output_node=True
    ),
    Node("PreviewImage", _preview, {"images": IMAGE}, output=("IMAGE",), output_node=True),
    Node(
        "SaveAnimatedWEBP",
        _save_webp,
        {"images": IMAGE, "filename_prefix": PREFIX, "fps": number("FLOAT", 6.0, 0.01, 1000.0)},
        output_node=True,
    ),
    Node(
        "CreateVideo",
        _create_video,
        {"images": IMAGE, "fps": number("FLOAT", 30.0, 1.0, 120.0)},
        {"audio": ["AUDIO", {}]},
        output=("VIDEO",),
    ),
    Node("SaveVideo", _save_video, {"video": ["VIDEO", {}], "filename_prefix": PREFIX}, output_node=True),
    Node(
        "EmptyAudio",
        _empty_audio,
        {"duration": number("FLOAT", 60.0, 0.0, 600.0), "sample_rate": number("INT", 44100, 1, 192000)},
        output=("AUDIO",),
    ),
    Node("SaveAudio", _save_audio, {"audio": ["AUDIO", {}], "filename_prefix": PREFIX}, output_node=True),
    Node("PreviewAny", _any, {"source": ["*", {}]}, output_node=True),
    Node(
        "CheckpointLoaderSimple",
        _checkpoint,
        {"ckpt_name": options(*CHECKPOINTS)},
        output=("MODEL", "CLIP", "VAE"),
    ),
    Node("CLIPTextEncode", _encode, {"text": STRING, "clip": ["CLIP", {}]}, output=("CONDITIONING",)),
    Node(
        "EmptyLatentImage",
        _latent,
        {
            "width": number("INT", 512, 16, 16384),
            "height": number("INT", 512, 16, 16384),
            "batch_size": number("INT", 1, 1, 4096),
        },
        output=("LATENT",),
    ),
    Node(
        "KSampler",
        _sample,
        {
            "model": ["MODEL", {}],
            "seed": SEED,
            "steps": number("INT", 20, 1, 10000),
            "cfg": number("FLOAT", 8.0, 0.0, 100.0),
            "sampler_name": options("euler", "euler_ancestral", "dpmpp_2m", "ddim", "uni_pc"),
            "scheduler": options("normal", "karras", "simple", "sgm_uniform"),
            "positive": ["CONDITIONING", {}],
            "negative": ["CONDITIONING", {}],
            "latent_image": ["LATENT", {}],
            "denoise": number("FLOAT", 1.0, 0.0, 1.0),
        },
        output=("LATENT",),
    ),
    Node("VAEDecode", _decode, {"samples": ["LATENT", {}], "vae": ["VAE", {}]}, output=("IMAGE",)),
    Node("UpscaleModelLoader", _upscaler, {"model_name": options(*UPSCALERS)}, output=("UPSCALE_MODEL",)),
    Node(
        "ImageUpscaleWithModel",
        _upscale,
        {"upscale_model": ["UPSCALE_MODEL", {}], "image": IMAGE},
        output=("IMAGE",),
    ),
    Node(
        "ProbeSteps",
        _steps,
        {
            "image": IMAGE,
            **_whole("steps", 4, 1, 10000),
            "delay": number("FLOAT", 0.05, 0.0, 60.0),
            **_whole("fail_at", -1, -1, 10000),
            "preview": ["BOOLEAN", {"default": False}],
            **_SALT,
        },
        output=("IMAGE",),
    ),
    Node("ProbeStubborn", _stubborn, {"image": IMAGE, **_SECONDS, **_SALT}, output=("IMAGE",)),
    Node("ProbeBlock", _block, {"image": IMAGE, "message": STRING}, output=("IMAGE",)),
    Node("ProbeText", _text, {"text": STRING}, output=("STRING",), output_node=True),
    Node(
        "ProbeProgressText", _progress_text, {"text": STRING, **_SALT}, output=("STRING",), output_node=True
    ),
    Node("ProbeSlowOut", _slow_out, {"text": STRING, **_SECONDS}, output_node=True),
    Node("ProbeAsync", _stubborn, {"image": IMAGE, **_SECONDS, **_SALT}, output=("IMAGE",)),
    Node("ProbeExpand", _expand, {"image": IMAGE, **_SALT}, output=("IMAGE",)),
)
"""Built-in classes of a real server, and small ones for tests: `ProbeSteps` takes timed steps and may fail,
`ProbeStubborn` never looks at the interrupt flag, `ProbeBlock` blocks its output, `ProbeText` shows text,
`ProbeSlowOut` is a slow output node, `ProbeExpand` expands into a subgraph.
"""
