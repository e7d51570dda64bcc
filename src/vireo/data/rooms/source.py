"""The source of rooms: frames, pairs and clips of a ray-cast world with every target exact.

The frames are rendered on first use into a content-addressed folder, or read from a folder that
`make_rooms` wrote.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from jaxtyping import UInt8

from vireo import catalog, files
from vireo.data.cache import cache_folder
from vireo.data.rooms import frames
from vireo.data.rooms.motion import MOVES, Shot, draw_shot
from vireo.data.rooms.render import VERSION
from vireo.data.rooms.world import DEFAULT_IMAGES, SURFACES, RoomsSettings
from vireo.data.sources.source import Source, Target
from vireo.digest import digest, plain
from vireo.errors import DataError, SettingError, StoreError
from vireo.records.datasets import Option

_CARD = "rooms.json"
_TARGETS = {
    "single": (
        *("count", "nearest", "steps", "texture"),
        *("mask", "instances", "walkable", "foreground", "depth"),
    ),
    "flow": ("flow",),
    "egomotion": ("class",),
    "clip": ("class",),
}


@final
class RoomsSource(Source):
    """Examples of one split.

    Targets of single frames: "count" (number of visible objects, 1 and more), "nearest" (place in
    `world.SHAPES`), "steps" (of 0.25 m that are free ahead, 0 to 4), "texture" (of the floor, place
    in `world.TEXTURES`), "mask" (places in `world.SURFACES`, the class names), "instances" (0 is
    the room), "walkable" and "foreground" (0 or 1), "depth" (metres along the optical axis). With
    `camera = "approach"`, "count" may be 0 and there is no "nearest".

    Target of flow: "flow" (u to the right and v down, in pixels of the first frame; NaN where
    hidden or outside in the second). Of egomotion and clips: "class" (place in `motion.ACTIONS` or
    `motion.GESTURES`, whose names are the class names).

    Args:
        root: a folder of `make_rooms`, whose settings then hold; otherwise the folder to cache
            frames in. Empty means `vireo/rooms` below `$XDG_CACHE_HOME` (`~/.cache`).
        split: worlds of different splits are different draws.
        images: how many; the worlds do not depend on it. None means the usual number of the split.
        options: fields of `RoomsSettings`.

    Raises:
        SettingError: an unknown or impossible setting, or one that a made folder does not have.
        DataError: files that are broken, or a split that a made folder does not have.
    """

    def __init__(
        self, *, root: str = "", split: str = "train", images: int | None = None, **options: Option
    ) -> None:
        folder = _expand(root) if root else cache_folder("rooms")
        if (folder / _CARD).is_file():
            card = read_card(folder)
            self.settings, num_images = card.settings, _made_images(card, folder, split)
            _refuse_other(card, folder, options)
            if images not in (None, num_images):
                raise SettingError(f"{folder} has {num_images} images of {split}; got {images}.")
            self._folder = files.inside(folder, split)
        else:
            self.settings, num_images = make_settings(options), _usual_images(split, images)
            name = digest(frames.identity(self.settings, split, num_images))
            self._folder = folder / name
        frames.ensure_split(self._folder, self.settings, split, num_images)
        self._arrays = frames.open_frames(self._folder, self.settings)
        self.name, self._split = "rooms", split
        self.targets, self.class_names = _names(self.settings)
        self.digest = digest(frames.identity(self.settings, split, num_images))

    def __len__(self) -> int:
        return len(self._arrays["image"])

    def frames(self, index: int) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
        """Return the frames, in their order."""
        return tuple(np.array(frame) for frame in self._arrays["image"][index])

    def target(self, index: int, name: str) -> Target:
        """Return one target of one example."""
        if name not in self.targets:
            raise DataError(catalog.unknown(name, self.targets, "target of rooms"))
        if name == "foreground":
            return np.array(self._arrays["instances"][index] > 0, dtype=np.uint8)
        value = self._arrays[name][index]
        return np.array(value) if value.ndim else int(value)

    def label(self, index: int) -> str:
        """Return split and number."""
        return f"{self._split}/{index:06d}"

    def shot(self, index: int) -> Shot:
        """Return the world and the cameras of an example, to render it from other poses."""
        attempt = int(self._arrays["attempt"][index]) if "attempt" in self._arrays else 0
        return draw_shot(self.settings, self._split, index, attempt)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the arrays out: a worker maps the files itself."""
        return {name: value for name, value in self.__dict__.items() if name != "_arrays"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Map the files; they were verified before."""
        self.__dict__.update(state)
        self._arrays = frames.open_frames(self._folder, self.settings, verify=False)


def _names(settings: RoomsSettings) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the targets and of the classes."""
    targets = _TARGETS[settings.sequence]
    if settings.camera == "approach":
        targets = tuple(name for name in targets if name != "nearest")
    names = SURFACES if settings.sequence == "single" else tuple(MOVES[settings.sequence])
    return targets, names


@dataclass(frozen=True, kw_only=True)
class RoomsCard:
    """What a folder of `make_rooms` holds: split name to number of frames, and their settings."""

    settings: RoomsSettings
    images: Mapping[str, int]


def make_rooms(
    folder: Path, *, images: Mapping[str, int], device: str = "cpu", **options: Option
) -> Path:
    """Render splits into a folder that `rooms:FOLDER` reads; what is there already is kept.

    Args:
        folder: made if needed.
        images: split name to number of frames.
        device: where to render. A GPU may round a colour differently from a CPU.
        options: fields of `RoomsSettings`.

    Returns:
        The folder. Its card is written last: where it is, all splits are complete.

    Raises:
        SettingError: an unknown or impossible setting.
        DataError: the folder holds other rooms.
    """
    settings = make_settings(options)
    for split, number in images.items():
        _usual_images(split, number)
        frames.ensure_split(files.inside(folder, split), settings, split, number, device=device)
    card = {"renderer": VERSION, "settings": plain(settings), "images": dict(images)}
    files.write_json(folder / _CARD, card)
    return folder


def read_card(folder: Path) -> RoomsCard:
    """Read what `make_rooms` wrote.

    Raises:
        DataError: there is no card, or one that this version cannot read.
    """
    path = folder / _CARD
    try:
        facts = files.read_json(path)
        images = {str(split): int(number) for split, number in facts["images"].items()}
        card = RoomsCard(settings=make_settings(facts["settings"]), images=images)
        renderer = facts["renderer"]
    except StoreError as error:
        raise DataError(f"{folder} is no folder of rooms: {error}") from error
    except (SettingError, KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(f"{path} is not a card of rooms ({error}); make the rooms anew.") from error
    if renderer != VERSION:
        raise DataError(
            f"{folder} was rendered by version {renderer}, this is {VERSION}; make the rooms anew."
        )
    return card


def make_settings(options: Mapping[str, Any]) -> RoomsSettings:
    """Turn options, as a person or a file gives them, into settings.

    Raises:
        SettingError: an unknown name, a value of another kind, or out of range.
    """
    defaults = plain(RoomsSettings())
    values: dict[str, Any] = {}
    for name, value in options.items():
        if name not in defaults:
            raise SettingError(catalog.unknown(name, defaults, "setting of rooms"))
        values[name] = _of_kind(name, value, type(defaults[name]))
    return RoomsSettings(**values)


def _of_kind(name: str, value: Any, kind: type) -> Any:
    """Return the value as the setting's type; a whole number may stand for a float."""
    if kind is list and isinstance(value, tuple | list):
        return tuple(value)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise SettingError(f"Rooms: {name} must be a {kind.__name__}; got {value!r}.")
    return value


def _usual_images(split: str, images: int | None) -> int:
    if images is None and split in DEFAULT_IMAGES:
        return DEFAULT_IMAGES[split]
    if type(images) is not int or images < 1:
        raise SettingError(
            f"Rooms: split '{split}' needs a number of images of at least 1; got {images}."
        )
    return images


def _made_images(card: RoomsCard, folder: Path, split: str) -> int:
    if split not in card.images:
        raise DataError(f"{folder}: {catalog.unknown(split, card.images, 'split')}")
    return card.images[split]


def _refuse_other(card: RoomsCard, folder: Path, options: Mapping[str, Option]) -> None:
    """Refuse options that differ from what the folder was made with."""
    asked, made = plain(make_settings(options)), plain(card.settings)
    different = sorted(name for name in options if asked[name] != made[name])
    if different:
        raise SettingError(
            f"{folder} was made with another {' and '.join(different)} (see its {_CARD}); "
            "leave the option out or make rooms in another folder."
        )


def _expand(root: str) -> Path:
    try:
        return files.expand(root)
    except StoreError as error:
        raise DataError(str(error)) from error
