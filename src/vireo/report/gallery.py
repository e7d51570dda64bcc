"""Predictions to look at: input, truth, and every encoder's answer side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vireo.report.pictures import (
    class_colour,
    colour_depth,
    colour_flow,
    colour_mask,
    data_uri,
    depth_range,
    longest_flow,
    photo_uri,
)
from vireo.report.words import DASH

MOST_EXAMPLES = 4
Arrays = Mapping[str, np.ndarray]
Answer = np.ndarray | np.generic
Names = Sequence[str]
IGNORED = 255


@dataclass(frozen=True)
class Tile:
    """One field of the gallery: a picture, or a short text where the answer is a class.

    Attributes:
        verdict: "right", "wrong" or empty.
    """

    alt: str
    uri: str = ""
    text: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Gallery:
    """The gallery of one task: `lines[example][column]`; `small` where answers are short texts.

    Attributes:
        legend: of masks: the colour and the name of each class that is seen.
    """

    task: str
    columns: tuple[str, ...]
    lines: tuple[tuple[Tile, ...], ...]
    note: str
    small: bool
    legend: tuple[tuple[str, str], ...] = ()


def gallery(task: str, answers: Mapping[str, Arrays], names: Names = ()) -> Gallery | None:
    """Lay out the stored examples of a task; None where nothing is stored.

    Args:
        task: its name, for the alternative texts.
        answers: encoder to its stored arrays: image, truth, prediction.
        names: of the classes; their codes are shown where there are none.
    """
    if not answers:
        return None
    first = next(iter(answers.values()))
    count = min(MOST_EXAMPLES, len(first["image"]))
    truth = first["truth"]
    return Gallery(
        task=task,
        columns=("input", "truth", *answers),
        lines=tuple(_line(task, index, answers, names) for index in range(count)),
        note=_note(truth, names),
        small=truth.ndim == 1,
        legend=_legend(answers, names) if _is_mask(truth) else (),
    )


def _line(task: str, index: int, answers: Mapping[str, Arrays], names: Names) -> tuple[Tile, ...]:
    first = next(iter(answers.values()))
    image, truth = first["image"][index], first["truth"][index]
    where = f"{task}, example {index + 1}"
    tiles = [
        Tile(f"{where}: input", uri=photo_uri(image)),
        _answer(f"{where}: truth", truth, truth, names),
    ]
    for encoder, arrays in answers.items():
        alt = f"{where}: prediction of {encoder}"
        same = index < len(arrays["image"]) and np.array_equal(arrays["image"][index], image)
        if not same:
            tiles.append(Tile(alt, text=DASH))
            continue
        value = arrays["prediction"][index]
        tiles.append(_judged(_answer(alt, value, truth, names), value, truth))
    return tuple(tiles)


def _answer(alt: str, value: Answer, truth: Answer, names: Names) -> Tile:
    if isinstance(value, np.generic) or isinstance(truth, np.generic):
        return Tile(alt, text=_named(int(value), names))
    if truth.ndim == 3:
        flow = colour_flow(value.astype(np.float32), longest_flow(truth))
        return Tile(alt, uri=data_uri(flow))
    if np.issubdtype(truth.dtype, np.floating):
        low, high = depth_range(truth)
        return Tile(alt, uri=data_uri(colour_depth(value.astype(np.float32), low, high)))
    return Tile(alt, uri=data_uri(colour_mask(value)))


def _judged(tile: Tile, value: Answer, truth: Answer) -> Tile:
    if np.ndim(value) > 0:
        return tile
    return Tile(tile.alt, text=tile.text, verdict="right" if value == truth else "wrong")


def _named(code: int, names: Names) -> str:
    return names[code] if 0 <= code < len(names) else str(code)


def _is_mask(truth: np.ndarray) -> bool:
    return truth.ndim > 1 and np.issubdtype(truth.dtype, np.integer)


def _legend(answers: Mapping[str, Arrays], names: Names) -> tuple[tuple[str, str], ...]:
    """Return colour and name of the classes that the shown masks hold, in the order of codes."""
    masks = [a[key][:MOST_EXAMPLES] for a in answers.values() for key in ("truth", "prediction")]
    codes = np.unique(np.concatenate([np.unique(mask) for mask in masks])).tolist()
    seen = [code for code in codes if code >= 0 and code != IGNORED]
    return tuple((class_colour(code), _named(code, names)) for code in seen)


def _note(truth: np.ndarray, names: Names) -> str:
    if truth.ndim == 1:
        return ("" if names else "Class codes. ") + "Green is right, red is wrong."
    if truth.ndim == 4:
        lengths = ", ".join(f"{longest_flow(image):.1f} px" for image in truth[:MOST_EXAMPLES])
        return (
            "Colour is the direction of motion, strength its length; one scale a row, by the "
            f"longest true motion ({lengths}). White: none. Grey: unknown."
        )
    if np.issubdtype(truth.dtype, np.floating):
        ranges = [depth_range(image) for image in truth[:MOST_EXAMPLES]]
        spans = ", ".join(f"{low:.1f} to {high:.1f} m" for low, high in ranges)
        return (
            f"Dark is near, bright is far; one scale a row, by the truth ({spans}). Grey: no depth."
        )
    return "One colour a class, the same everywhere. Grey pixels do not count."
