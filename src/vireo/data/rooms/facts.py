"""What is true of a batch of examples: draws their worlds, renders them, collects every fact."""

from typing import Any

import numpy as np
import torch

from vireo.data.rooms.body import steps_ahead
from vireo.data.rooms.flow import optical_flow
from vireo.data.rooms.motion import Shot, draw_shot
from vireo.data.rooms.render import Frames, render, render_image
from vireo.data.rooms.world import FLOOR, SEQUENCES, TEXTURES, RoomsSettings
from vireo.errors import SettingError

_RAYS = 1 << 17
"""Rays a batch on a CPU: more would not fit its caches. A GPU takes 32 times as many."""
_MOST_ATTEMPTS = 100
_MAPS = {"depth": np.float32, "instances": np.uint8, "mask": np.uint8, "walkable": np.uint8}
_NUMBERS = ("count", "nearest", "steps", "texture", "attempt")


def layout(settings: RoomsSettings) -> dict[str, tuple[type[Any], tuple[int, ...]]]:
    """Return the facts that are kept of an example, each with its type and shape."""
    size = settings.size
    facts: dict[str, tuple[type[Any], tuple[int, ...]]] = {
        "image": (np.uint8, (SEQUENCES[settings.sequence], size, size, 3))
    }
    if settings.sequence == "single":
        facts |= {name: (kind, (size, size)) for name, kind in _MAPS.items()}
        return facts | dict.fromkeys(_NUMBERS, (np.int64, ()))
    if settings.sequence == "flow":
        return facts | {"flow": (np.float32, (2, size, size))}
    return facts | {"class": (np.int64, ())}


def batch_size(settings: RoomsSettings, device: str) -> int:
    """Return how many examples are best rendered at once; they do not depend on it."""
    rays = _RAYS if device == "cpu" else 32 * _RAYS
    return max(1, rays // (settings.size * settings.samples) ** 2 // SEQUENCES[settings.sequence])


def facts_of(
    settings: RoomsSettings, split: str, indices: range, device: str = "cpu"
) -> dict[str, np.ndarray]:
    """Draw and render examples; single frames with the first of their draws that shows an object.

    Returns:
        The facts of `layout`, one row an example. "attempt" is which draw it was.

    Raises:
        SettingError: the settings hardly ever show an object.
    """
    if settings.sequence != "single":
        return _sequences([draw_shot(settings, split, i) for i in indices], settings, device)
    found: dict[str, np.ndarray] = {}
    missing = np.arange(len(indices))
    for attempt in range(_MOST_ATTEMPTS):
        shots = [draw_shot(settings, split, indices[place], attempt) for place in missing]
        facts = _singles(shots, settings, device) | {"attempt": np.full(len(missing), attempt)}
        for name, values in facts.items():
            found.setdefault(name, values)[missing] = values
        missing = missing[facts["count"] == 0]
        if len(missing) == 0 or settings.camera == "approach":  # which may well face a bare wall
            return found
    raise SettingError(
        f"No object is visible in {_MOST_ATTEMPTS} draws of frame {indices[missing[0]]}; "
        f"lower visible (now {settings.visible}) or raise min_objects."
    )


def _singles(shots: list[Shot], settings: RoomsSettings, device: str) -> dict[str, np.ndarray]:
    worlds, cameras = [shot.world for shot in shots], [shot.cameras[0] for shot in shots]
    frames: Frames = render(worlds, cameras, settings, device)
    facts = {name: getattr(frames, name).cpu().numpy() for name in (*_MAPS, "count", "nearest")}
    facts["image"] = frames.image[:, None].cpu().numpy()
    steps = [steps_ahead(world, camera) for world, camera in zip(worlds, cameras, strict=True)]
    floors = [TEXTURES.index(world.faces[FLOOR].texture) for world in worlds]
    return facts | {"steps": np.array(steps), "texture": np.array(floors)}


def _sequences(shots: list[Shot], settings: RoomsSettings, device: str) -> dict[str, np.ndarray]:
    worlds = [shot.world for shot in shots]
    views = zip(*(shot.cameras for shot in shots), strict=True)
    frames = [render_image(worlds, cameras, settings, device) for cameras in views]
    image = torch.stack(frames, 1).cpu().numpy()
    if settings.sequence == "flow":
        poses = [(shot.cameras[0], shot.cameras[1]) for shot in shots]
        flow = optical_flow(worlds, poses, settings.size, device).cpu().numpy()
        return {"image": image, "flow": flow}
    return {"image": image, "class": np.array([shot.action for shot in shots])}
