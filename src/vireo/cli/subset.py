"""`vireo subset`: draw a balanced, unbalanced or mixed part of a set of images."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vireo.cli.options import PATH


class Rule(StrEnum):
    """How many images of each class."""

    fraction = "fraction"
    half = "half"
    quarter = "quarter"
    linear = "linear"
    log = "log"
    uniform = "uniform"
    rate = "rate"
    combination = "combination"


class Group(StrEnum):
    """What is counted."""

    class_ = "class"
    folder = "folder"


_SHARES = {Rule.half: 0.5, Rule.quarter: 0.25}


def subset(
    rule: Annotated[Rule, typer.Argument(help="How many images of each class.")],
    data: Annotated[list[str], typer.Option(help="folder:PATH, ...; repeat for a combination.")],
    out: Annotated[Path, typer.Option(help="Folder of the subset; use it as subset:OUT.", **PATH)],
    share: Annotated[
        float, typer.Option(help="Of each class (fraction) or each set (combination).")
    ] = 0.25,
    images: Annotated[
        int, typer.Option(help="In all (log, uniform, rate); 0: a quarter of last x classes (log).")
    ] = 0,
    first: Annotated[int, typer.Option(help="Images of the rarest class (linear, log).")] = 1,
    last: Annotated[
        int, typer.Option(help="Images of the commonest; 0: 10/13 of the largest class.")
    ] = 0,
    group: Annotated[Group, typer.Option(help="What uniform counts by.")] = Group.class_,
    order_seed: Annotated[
        int | None, typer.Option(help="Permute which classes are rare; default: by code.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw of images within a class.")] = 0,
) -> None:
    """Draw a part of a set of images, the same on every machine; the images stay where they are.

    half, quarter, fraction: the same share of every class. linear: class n gives n images (of 1000
    classes). log: lambda * exp(a * n) + b, from 1 to 1000 images, 250,000 in all. uniform: the same
    number of every class or folder. rate: every k-th frame of every folder. combination: a share of
    each of several sets. Set ends and totals for sets of other sizes.
    """
    from vireo.console import say
    from vireo.data import find_dataset
    from vireo.data.subsets.making import make_subset
    from vireo.data.subsets.recipe import SubsetRecipe

    recipe = SubsetRecipe(
        rule="fraction" if rule in _SHARES else rule.value,  # type: ignore[arg-type]
        data=tuple(map(find_dataset, data)),
        share=_SHARES.get(rule, share),
        images=images,
        first=first,
        last=last,
        group=group.value,
        order_seed=order_seed,
        seed=seed,
    )
    picture = make_subset(recipe, out)
    say(f"Drawn into {out}; look at {picture}. Use it as --data subset:{out}")
