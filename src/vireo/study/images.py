"""How many images each task reads: counted where they are here, as published where they are not."""

from dataclasses import dataclass

from vireo.data.sources.source import Source
from vireo.digest import digest
from vireo.errors import VireoError
from vireo.probe.examples import Examples, Part, open_examples
from vireo.probe.protocols import protocol_of
from vireo.records import DatasetSpec, ProbeSettings, Task


@dataclass(frozen=True, kw_only=True)
class SplitImages:
    """A split of a dataset, all of whose examples are encoded at once.

    Attributes:
        dataset: what is the same for tasks that share the images: the source's digest, or that of
            how it is described where it is not here.
        examples: None where nobody says how many there are.
        source: None where it is not here.
    """

    dataset: str
    name: str
    examples: int | None
    source: Source | None = None


@dataclass(frozen=True, kw_only=True)
class TaskImages:
    """The examples of a task: those that heads are fitted, selected and tested on, and the splits.

    Attributes:
        fit, validation, test: None where nobody says how many there are. `test` counts extra test
            sets too.
    """

    fit: int | None
    validation: int | None
    test: int | None
    splits: tuple[SplitImages, ...]

    @property
    def total(self) -> int | None:
        """All examples, or None where a part is unknown."""
        parts = (self.fit, self.validation, self.test)
        return None if None in parts else sum(part or 0 for part in parts)


def images_of(task: Task, settings: ProbeSettings) -> TaskImages:
    """Count a task's examples; no image is decoded and nothing is raised."""
    try:
        return _opened(open_examples(task, settings))
    except VireoError:
        return _published(task, settings)


def _opened(examples: Examples) -> TaskImages:
    tested = (examples.test, *examples.extra.values())
    parts = (examples.fit, *([examples.validation] if examples.validation else []), *tested)
    splits = {part.source.digest: _split(part) for part in parts}
    return TaskImages(
        fit=len(examples.fit),
        validation=len(examples.validation or ()),
        test=sum(map(len, tested)),
        splits=tuple(splits.values()),
    )


def _split(part: Part) -> SplitImages:
    source = part.source
    return SplitImages(dataset=source.digest, name=part.split, examples=len(source), source=source)


def _published(task: Task, settings: ProbeSettings) -> TaskImages:
    """Return the sizes of the dataset's card, the validation share cut as the probe does."""
    from vireo.data import find_dataset
    from vireo.data.roots import card_of

    spec = find_dataset(task.dataset) if isinstance(task.dataset, str) else task.dataset
    card = card_of(spec.name)
    sizes = dict(card.splits) if card else {}
    known = {split: sizes.get(split) or None for split in _splits(spec, settings)}
    fit, validation = known["train"], known.get("val", 0)
    if protocol_of(settings).validates and "val" not in known and fit is not None:
        validation = round(fit * settings.validation)
        fit -= validation
    return TaskImages(
        fit=fit,
        validation=validation,
        test=known["test"],
        splits=tuple(
            SplitImages(dataset=_stated(spec, split), name=split, examples=examples)
            for split, examples in known.items()
        ),
    )


def _stated(spec: DatasetSpec, split: str) -> str:
    """Return what the digest of the examples follows from: two datasets may share a split."""
    if split not in spec.splits:
        return digest(spec)
    cut = spec.carve if split == "train" else {}
    return digest(spec.source, {**spec.options, **spec.splits[split]}, cut, spec.limit.get(split))


def _splits(spec: DatasetSpec, settings: ProbeSettings) -> list[str]:
    has_val = "val" in {**spec.splits, **spec.carve}
    used = ["val"] if has_val and protocol_of(settings).validates else []
    return ["train", *used, "test"]
