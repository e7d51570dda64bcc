"""A subset before it is drawn: its rule, its numbers and the sets it is drawn from."""

from dataclasses import dataclass
from typing import Literal

from vireo.records.datasets import DatasetSpec

Rule = Literal["fraction", "linear", "log", "uniform", "combination", "rate"]


@dataclass(frozen=True, kw_only=True)
class SubsetRecipe:
    """What to draw. The same recipe on the same images gives the same subset on every machine.

    Attributes:
        name: how tables call the set; empty where a folder has the name.
        rule: "fraction" (the same share of every class), "linear" and "log" (rising from class to
            class), "uniform" (the same number of every group), "combination" (a share of each of
            several sets), "rate" (every so many frames of every video).
        data: the sets; all but "combination" take one.
        share: of "fraction" and "combination".
        first, last: images of the rarest and the commonest class of "linear" and "log"; last 0
            means ten thirteenths of the largest class, as the study's 1000 of 1300.
        images: in all, of "log", "uniform" and "rate"; 0 means a quarter of last times the number
            of classes for "log", as the study's 250,000.
        group: what "uniform" counts by: "class", or "folder", the first part of a name (Taskonomy's
            buildings). "rate" counts by the folder of the frames.
        order_seed: permutes which classes are rare; None leaves them in the order of their codes.
        seed: of the draw of images within a class.
    """

    name: str = ""
    rule: Rule
    data: tuple[DatasetSpec, ...]
    share: float = 0.5
    first: int = 1
    last: int = 0
    images: int = 0
    group: Literal["class", "folder"] = "class"
    order_seed: int | None = None
    seed: int = 0
