"""Predictions to look at: input, truth, and every encoder's answer side by side."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vireo.report.pictures import colour_depth, colour_mask, data_uri, depth_range
from vireo.report.words import DASH

MOST_EXAMPLES = 4
Arrays = Mapping[str, np.ndarray]
Answer = np.ndarray | np.generic


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
    """The gallery of one task: `lines[example][column]`; `small` where answers are short texts."""

    task: str
    columns: tuple[str, ...]
    lines: tuple[tuple[Tile, ...], ...]
    note: str
    small: bool


def gallery(task: str, answers: Mapping[str, Arrays]) -> Gallery | None:
    """Lay out the stored examples of a task; None where nothing is stored.

    Args:
        task: its name, for the alternative texts.
        answers: encoder to its stored arrays: image, truth, prediction.
    """
    if not answers:
        return None
    first = next(iter(answers.values()))
    count = min(MOST_EXAMPLES, len(first["image"]))
    lines = tuple(_line(task, index, first, answers) for index in range(count))
    return Gallery(
        task, ("input", "truth", *answers), lines, _note(first["truth"]), first["truth"].ndim == 1
    )


def _line(task: str, index: int, first: Arrays, answers: Mapping[str, Arrays]) -> tuple[Tile, ...]:
    image, truth = first["image"][index], first["truth"][index]
    where = f"{task}, example {index + 1}"
    tiles = [Tile(f"{where}: input", uri=data_uri(image)), _answer(f"{where}: truth", truth, truth)]
    for encoder, arrays in answers.items():
        alt = f"{where}: prediction of {encoder}"
        same = index < len(arrays["image"]) and np.array_equal(arrays["image"][index], image)
        tile = _answer(alt, arrays["prediction"][index], truth) if same else Tile(alt, text=DASH)
        tiles.append(_judged(tile, arrays["prediction"][index], truth) if same else tile)
    return tuple(tiles)


def _answer(alt: str, value: Answer, truth: Answer) -> Tile:
    if isinstance(value, np.generic) or isinstance(truth, np.generic):
        return Tile(alt, text=str(value))
    if np.issubdtype(truth.dtype, np.floating):
        low, high = depth_range(truth)
        return Tile(alt, uri=data_uri(colour_depth(value.astype(np.float32), low, high)))
    return Tile(alt, uri=data_uri(colour_mask(value)))


def _judged(tile: Tile, value: Answer, truth: Answer) -> Tile:
    if np.ndim(value) > 0:
        return tile
    return Tile(tile.alt, text=tile.text, verdict="right" if value == truth else "wrong")


def _note(truth: np.ndarray) -> str:
    if truth.ndim == 1:
        return "Class codes. Green is right, red is wrong."
    if np.issubdtype(truth.dtype, np.floating):
        ranges = [depth_range(image) for image in truth[:MOST_EXAMPLES]]
        spans = ", ".join(f"{low:.1f} to {high:.1f} m" for low, high in ranges)
        return (
            f"Dark is near, bright is far; one scale a row, by the truth ({spans}). Grey: no depth."
        )
    return "One colour a class, the same everywhere. Grey pixels do not count."
