"""What is wrong with how a dataset is to be read, before any of its files is looked at."""

import inspect
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from vireo.catalog import resolve, unknown
from vireo.data.sources import SOURCES
from vireo.data.sources.source import Source
from vireo.errors import MissingExtraError, SettingError
from vireo.records import DatasetSpec
from vireo.records.reading import Mistake, Path, dotted

SPLITS = ("train", "val", "test")
"""What a task asks for; "val" may be absent."""


def spec_mistakes(spec: DatasetSpec, where: Path = ()) -> list[Mistake]:
    """Return everything that is wrong with a task's own dataset: source, options, splits.

    Example:
        >>> [m.sentence for m in spec_mistakes(DatasetSpec(name="a", source="digits"))]
        ["splits: there is no 'test'; add splits.test, or carve.test to cut one out of train"]
    """
    found = [*_splits(spec), *_cuts(spec), *_limits(spec), *_source(spec)]
    placed = [Mistake((*where, *path), f"{dotted((*where, *path))}{text}") for path, text in found]
    return list(dict.fromkeys(placed))


def option_mistakes(kind: Any, options: Mapping[str, Any], what: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each option that a source does not take as it is, and why."""
    parameters = inspect.signature(kind).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    hints = typing.get_type_hints(kind.__init__)
    for name, value in options.items():
        if name not in parameters and not takes_any:
            yield name, unknown(name, parameters, f"option of {what}")
        if name in hints and not _fits(value, hints[name]):
            yield (
                name,
                f"The option '{name}' of {what} is {value!r}, which is not of its type "
                f"({inspect.formatannotation(hints[name])}); correct it.",
            )
    for name, parameter in parameters.items():
        if parameter.default is parameter.empty and name not in options and not takes_any:
            yield name, f"The {what} needs the option '{name}'; add it."


def _fits(value: Any, hint: Any) -> bool:
    choices = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    kinds = tuple(typing.get_origin(choice) or choice for choice in choices)
    if any(not isinstance(kind, type) for kind in kinds):
        return True
    if isinstance(value, str) and str not in kinds:  # a text is a sequence of texts to isinstance
        return False
    if isinstance(value, bool) and bool not in kinds:  # and true is the number 1
        return False
    return isinstance(value, kinds) or (float in kinds and isinstance(value, int))


def _splits(spec: DatasetSpec) -> Iterator[Mistake]:
    known = {"splits": spec.splits, "carve": spec.carve}
    for table, names in known.items():
        for name in names:
            if name not in SPLITS:
                yield Mistake((table, name), f": {_brief(unknown(name, SPLITS, 'split'))}")
    if "train" not in spec.splits:
        yield Mistake(("splits",), ": there is no 'train'; add splits.train")
    if "test" not in {**spec.splits, **spec.carve}:
        advice = "add splits.test, or carve.test to cut one out of train"
        yield Mistake(("splits",), f": there is no 'test'; {advice}")


def _cuts(spec: DatasetSpec) -> Iterator[Mistake]:
    for name, cut in spec.carve.items():
        if name in spec.splits:
            yield Mistake(("carve", name), ": the split is in 'splits' too; keep one")
        if not 0 < cut.fraction < 1:
            yield Mistake(("carve", name, "fraction"), f" must be in (0, 1); got {cut.fraction}")
        if cut.gap < 0 or (cut.gap and cut.rule != "tail"):
            rule = f"got {cut.gap} with rule '{cut.rule}'"
            yield Mistake(("carve", name, "gap"), f" must be 0, or positive with 'tail'; {rule}")
    share = sum(cut.fraction for cut in spec.carve.values())
    if len(spec.carve) > 1 and share >= 1:
        yield Mistake(("carve",), f": the fractions leave nothing of 'train'; they sum to {share}")


def _limits(spec: DatasetSpec) -> Iterator[Mistake]:
    splits = [*spec.splits, *spec.carve]
    for name, count in spec.limit.items():
        if name not in splits:
            yield Mistake(("limit", name), f": {_brief(unknown(name, splits, 'split'))}")
        if count < 1:
            yield Mistake(("limit", name), f" must be at least 1; got {count}")


def _source(spec: DatasetSpec) -> Iterator[Mistake]:
    try:
        kind = resolve(SOURCES, spec.source, "source", Source)
    except MissingExtraError:
        return  # said when the data is opened: the file can be right on a machine without it
    except SettingError as error:
        yield Mistake(("source",), f": {_brief(str(error))}")
        return
    for split, own in spec.splits.items():
        options = {**spec.options, **own}
        folder = options.pop("subfolder", ".")
        if not isinstance(folder, str) or not _stays_below(folder):
            yield _place(split, own, "subfolder", f"{folder!r} is no folder below the root")
        for name, text in option_mistakes(kind, options, f"source '{spec.source}'"):
            yield _place(split, own, name, _brief(text))


def _place(split: str, own: Mapping[str, Any], name: str, text: str) -> Mistake:
    path = ("splits", split, name) if name in own else ("options", name)
    return Mistake(path, f": {text}")


def _stays_below(folder: str) -> bool:
    path = PurePath(folder)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in folder


def _brief(text: str) -> str:
    return text.removesuffix(".")
