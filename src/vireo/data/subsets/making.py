"""Draw a subset, and write it down: the function behind `vireo subset`."""

from pathlib import Path

from vireo import console
from vireo.data.opening import open_split
from vireo.data.sources.source import Source
from vireo.data.subsets.draw import Drawn, draw
from vireo.data.subsets.folder import write_subset
from vireo.data.subsets.picture import histogram
from vireo.data.subsets.recipe import SubsetRecipe
from vireo.errors import SettingError


def make_subset(recipe: SubsetRecipe, out: Path) -> Path:
    """Draw a subset of the split "train" of its sets into the folder `out`.

    Use it as `subset:OUT` wherever a dataset is named. The images stay where they are.

    Returns:
        The picture of the classes' sizes.

    Raises:
        SettingError: a rule with more or fewer sets than it takes, or numbers that cannot be met.
        DataError: images that are missing, a set without classes, or a folder of another subset.
    """
    parts = draw_parts(recipe)
    drawn = [part for _, part in parts]
    write_subset(out, recipe, [(source.digest, part) for source, part in parts])
    names = [spec.name for spec in recipe.data]
    return histogram(out / "histogram.png", recipe.rule, names, drawn)


def draw_parts(recipe: SubsetRecipe) -> list[tuple[Source, Drawn]]:
    """Draw from the split "train" of every set, and say where one has fewer images than asked.

    Raises:
        SettingError: a rule with more or fewer sets than it takes, or numbers that cannot be met.
        DataError: images that are missing, or a set without classes.
    """
    several = recipe.rule == "combination"
    if several != (len(recipe.data) > 1) or not recipe.data:
        raise SettingError(
            f"The rule '{recipe.rule}' takes {'two sets or more' if several else 'one set'}; got "
            f"{len(recipe.data)}."
        )
    parts: list[tuple[Source, Drawn]] = []
    for spec in recipe.data:
        source = open_split(spec, "train")
        drawn = draw(source, recipe)
        if drawn.shortfall():
            console.warn(f"{spec.name}: {drawn.shortfall()}")
        parts.append((source, drawn))
    return parts
