"""Which layouts of checkpoint are known, one row each, and a file's backbone out of its layout.

The first row whose marks a file bears is its layout. A row says where the networks are, which one
the published evaluation takes, what the other tensors are, and what tensors do not show: heads,
normalisation, padding. The last row takes whatever stands under one prefix.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from vireo.encoders.layouts.extracting import bears, extract, named_tensors
from vireo.encoders.layouts.flattening import Flat, flatten
from vireo.encoders.layouts.formats import Format
from vireo.encoders.layouts.libraries import LIBRARIES
from vireo.encoders.layouts.releases import RELEASES
from vireo.encoders.reading.files import Content, read_file

FORMATS: tuple[Format, ...] = (*RELEASES, *LIBRARIES)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A file's backbone, out of its layout.

    Attributes:
        format: the row of FORMATS.
        tensors: the backbone's and its own classifier's, under torchvision's or timm's names.
        names: those names to the names in the file.
        left_over: kind ("projector", "queue", "momentum encoder") to names in the file.
        taken: which of several networks; empty if there is one.
        epoch: finished epochs, where the file is sure to say it.
        architecture: what the file itself says ("resnet50").
        method: the pre-training method that the layout shows; empty if it shows none.
        reader, foreign: how the file was read, as in `Content`.
    """

    format: Format
    tensors: Mapping[str, Tensor]
    names: Mapping[str, str]
    left_over: Mapping[str, tuple[str, ...]]
    taken: str
    epoch: int | None
    architecture: str
    method: str
    reader: str
    foreign: tuple[str, ...]


def read_checkpoint(path: Path, take: str = "") -> Checkpoint:
    """Read a file and find its backbone.

    Args:
        path: of a safetensors or torch file.
        take: which network, where the layout has several ("student", "key"), or the prefix of the
            one that is meant; empty means the one that the published evaluation takes.

    Raises:
        CheckpointError: the file cannot be read, holds no network, or not the one asked for.
    """
    content = read_file(path)
    flat = flatten(content)
    return unpack(content, flat, recognise(flat), path=path, take=take)


def unpack(content: Content, flat: Flat, layout: Format, *, path: Path, take: str) -> Checkpoint:
    """Take the backbone out of what was read, by the layout that was recognised.

    Raises:
        CheckpointError: there is no network, or not the one asked for.
    """
    found = extract(flat, layout, take, path)
    return Checkpoint(format=layout, reader=content.reader, foreign=content.foreign, **vars(found))


def recognise(flat: Flat) -> Format:
    """Return the first row of FORMATS whose marks the file bears."""
    return next(layout for layout in FORMATS if bears(flat, layout))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the named tensors of a file of ours or of torchvision's, as they stand in it.

    Raises:
        CheckpointError: the file cannot be read, or holds no tensors by name.
    """
    return named_tensors(read_file(path).tree, path)
