"""`vireo similarity`: how alike encoders are, every block against every block."""

import functools
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vireo.cli.options import PATH, Architecture, Device, Json, Mean, Std, Take, Threads
from vireo.cli.output import Line, show

if TYPE_CHECKING:
    from vireo.records import SimilarityRow

SIMILARITIES = Path("runs/similarity")


class Estimator(StrEnum):
    """How CKA is estimated."""

    exact = "exact"
    minibatch = "minibatch"


def similarity(
    encoder: Annotated[list[str], typer.Argument(help="run:DIR, file:PATH, ..., or NAME=SPEC.")],
    images: Annotated[str, typer.Option(help="A dataset's name, folder:PATH, parquet:GLOB, ...")],
    split: Annotated[str, typer.Option(help="The split of the images.")] = "train",
    count: Annotated[
        int, typer.Option(min=1, help="Images; as many of each class where there are classes.")
    ] = 10_000,
    side: Annotated[int, typer.Option(min=1, help="Images are resized to side x side.")] = 112,
    pooled: Annotated[
        bool, typer.Option("--pooled", help="Mean over places instead of flattened maps.")
    ] = False,
    estimator: Annotated[
        Estimator,
        typer.Option(help="exact: all images at once; minibatch: for sets that do not fit."),
    ] = Estimator.exact,
    batch_size: Annotated[int, typer.Option(min=8, help="minibatch: images of a batch.")] = 256,
    memory: Annotated[
        float, typer.Option(min=0, help="exact: GiB it may hold; less means more passes.")
    ] = 4.0,
    out: Annotated[
        Path, typer.Option(help="A study's folder, or any other.", **PATH)
    ] = SIMILARITIES,
    workers: Annotated[int, typer.Option(min=0, help="Processes that decode images.")] = 0,
    architecture: Architecture = "",
    take: Take = "",
    mean: Mean = "",
    std: Std = "",
    device: Device = "auto",
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Compare encoders by linear CKA, within and between them, and draw the heat maps.

    The numbers are kept in the folder and not computed again; a command that was stopped goes on.
    Biased CKA is what is usually published; the unbiased one is given beside it. A file's
    architecture is recognised and its normalisation is ImageNet's unless options say otherwise.
    """
    from vireo.cli.probe import encoder_spec, triple, with_facts
    from vireo.console import say
    from vireo.devices import choose
    from vireo.encoders import open_encoder
    from vireo.similarity.compare import compare
    from vireo.similarity.images import choose_images
    from vireo.similarity.settings import SimilaritySettings

    settings = SimilaritySettings(
        estimator=estimator.value,
        side=side,
        pooled=pooled,
        batch_size=batch_size,
        memory_gib=memory,
    )
    specs = with_facts(
        list(map(encoder_spec, encoder)),
        architecture=architecture,
        take=take,
        mean=triple(mean, "--mean"),
        std=triple(std, "--std"),
    )
    _check_names([spec.name for spec in specs])
    # float32 also where bfloat16 is faster: rounded features would be another comparison
    compute = choose(device, "float32", threads=threads)
    say(f"{compute.device}, {compute.precision}, {compute.threads} threads ({compute.reason})")
    rows = compare(
        {spec.name: functools.partial(open_encoder, spec) for spec in specs},
        (choose_images(images, split, count), split),
        settings,
        root=out,
        compute=compute,
        workers=workers,
    )
    _draw(rows, out)
    show([_line(row) for row in rows], as_json, _COLUMNS)


_COLUMNS = ("name", "estimator", "n", "mean", "same_place", "first_to_last")


def _check_names(names: Sequence[str]) -> None:
    from vireo.errors import SettingError

    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingError(
            f"Each encoder needs a name of its own; twice there: {', '.join(twice)}. Leave one out,"
            " or write NAME=SPEC."
        )


def _draw(rows: "Sequence[SimilarityRow]", out: Path) -> None:
    """Write one picture an estimator."""
    from vireo.console import say
    from vireo.similarity.picture import heatmap
    from vireo.store.folder import StudyFolder

    for estimator in dict.fromkeys(row.key.estimator for row in rows):
        chosen = [row for row in rows if row.key.estimator == estimator]
        facts = f"{chosen[0].key.representation}-{chosen[0].key.side}px"
        path = StudyFolder(out).similarity / f"{estimator}-{facts}.png"
        say(f"Look at {heatmap(path, chosen)}")


def _line(row: "SimilarityRow") -> Line:
    """Return a comparison with three means of it, and for programs all of its cells."""
    import numpy as np

    values = np.array(row.values, dtype=np.float64)
    square = values.shape[0] == values.shape[1]
    itself = row.first == row.second
    off = values[~np.eye(len(values), dtype=bool)] if itself else values.ravel()
    return {
        "name": row.first if itself else f"{row.first} x {row.second}",
        "first": row.first,
        "second": row.second,
        "estimator": row.key.estimator,
        "n": row.n,
        "mean": float(off.mean()) if off.size else float("nan"),
        "same_place": float(values.diagonal().mean()) if square else float("nan"),
        "first_to_last": float(values[0, -1]),
        "first_blocks": list(row.first_blocks),
        "second_blocks": list(row.second_blocks),
        "values": [list(line) for line in row.values],
    }
