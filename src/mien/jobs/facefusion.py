"""What FaceFusion 3.8.1 stores with every step: its 85 keys in its order, with their defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

STEP_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "source_paths": None,
        "target_path": None,
        "output_path": None,
        "face_detector_model": "yolo_face",
        "face_detector_size": "640x640",
        "face_detector_margin": [0, 0, 0, 0],
        "face_detector_angles": [0],
        "face_detector_score": 0.5,
        "face_landmarker_model": "2dfan4",
        "face_landmarker_score": 0.5,
        "face_selector_mode": "reference",
        "face_selector_order": "large-small",
        "face_selector_age_start": None,
        "face_selector_age_end": None,
        "face_selector_gender": None,
        "face_selector_race": None,
        "reference_face_position": 0,
        "reference_face_distance": 0.3,
        "reference_frame_number": 0,
        "face_tracker_score": 0.0,
        "face_occluder_model": "xseg_1",
        "face_parser_model": "bisenet_resnet_34",
        "face_mask_types": ["box"],
        "face_mask_areas": ["upper-face", "lower-face", "mouth"],
        "face_mask_regions": [
            "skin",
            "left-eyebrow",
            "right-eyebrow",
            "left-eye",
            "right-eye",
            "glasses",
            "nose",
            "mouth",
            "upper-lip",
            "lower-lip",
        ],
        "face_mask_blur": 0.3,
        "face_mask_padding": [0, 0, 0, 0],
        "voice_extractor_model": "kim_vocal_2",
        "trim_frame_start": None,
        "trim_frame_end": None,
        "temp_frame_format": "png",
        "temp_pixel_format": "bgr24",
        "target_frame_amount": 2,
        "output_image_quality": 80,
        "output_image_scale": 1.0,
        "output_audio_encoder": "flac",
        "output_audio_quality": 80,
        "output_audio_volume": 100,
        "output_video_encoder": "libx264",
        "output_video_preset": "veryfast",
        "output_video_quality": 80,
        "output_video_scale": 1.0,
        "output_video_fps": None,
        "workflow_mode": "auto",
        "workflow_strategy": "memory",
        "processors": ["face_swapper"],
        "age_modifier_model": "fran",
        "age_modifier_direction": 0,
        "background_remover_model": "modnet",
        "background_remover_fill_color": [0, 0, 0, 0],
        "background_remover_despill_color": [0, 0, 0, 0],
        "deep_swapper_model": "iperov/elon_musk_224",
        "deep_swapper_morph": 100,
        "expression_restorer_model": "live_portrait",
        "expression_restorer_factor": 80,
        "expression_restorer_areas": ["upper-face", "lower-face"],
        "face_debugger_items": ["face-landmark-5/68", "face-mask"],
        "face_editor_model": "live_portrait",
        "face_editor_eyebrow_direction": 0.0,
        "face_editor_eye_gaze_horizontal": 0.0,
        "face_editor_eye_gaze_vertical": 0.0,
        "face_editor_eye_open_ratio": 0.0,
        "face_editor_lip_open_ratio": 0.0,
        "face_editor_mouth_grim": 0.0,
        "face_editor_mouth_pout": 0.0,
        "face_editor_mouth_purse": 0.0,
        "face_editor_mouth_smile": 0.0,
        "face_editor_mouth_position_horizontal": 0.0,
        "face_editor_mouth_position_vertical": 0.0,
        "face_editor_head_pitch": 0.0,
        "face_editor_head_yaw": 0.0,
        "face_editor_head_roll": 0.0,
        "face_enhancer_model": "gfpgan_1.4",
        "face_enhancer_blend": 80,
        "face_enhancer_weight": 0.5,
        "face_swapper_model": "hyperswap_1a_256",
        "face_swapper_pixel_boost": "256x256",
        "face_swapper_weight": 0.5,
        "frame_colorizer_model": "ddcolor",
        "frame_colorizer_size": "256x256",
        "frame_colorizer_blend": 100,
        "frame_enhancer_model": "span_kendata_x4",
        "frame_enhancer_blend": 80,
        "lip_syncer_model": "wav2lip_gan_96",
        "lip_syncer_weight": 0.5,
    }
)
"""From the documentation of its options; encoders as its usual builds of FFmpeg have them."""


def default_of(key: str, values: Mapping[str, Any]) -> Any:
    """The default of a key, which for the pixel boost depends on the model."""
    if key == "face_swapper_pixel_boost":
        size = re.search(r"_(\d+)(_fp16)?$", str(values.get("face_swapper_model", "")))
        return f"{size[1]}x{size[1]}" if size else STEP_DEFAULTS[key]
    return STEP_DEFAULTS[key]
