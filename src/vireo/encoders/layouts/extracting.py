"""A backbone out of a file of known layout, and the kinds of what is left."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from vireo.encoders.layouts.flattening import Flat
from vireo.encoders.layouts.formats import LEVEL, Format, Part
from vireo.encoders.layouts.renaming import rename_all, reshape
from vireo.errors import CheckpointError

OTHER = "other"
CLASSIFIER = "classifier"
# What tensors beside a backbone are, by names that most projects use; the first that matches.
KINDS: tuple[tuple[str, str], ...] = (
    (r"state/\d+/|param_groups(/|$)", "optimizer"),  # an optimiser's state_dict alone
    (r"(.*/)?(optimi[sz]er\w*|lr_schedulers?|\w*scaler|amp|opt)(/|\.|$)", "optimizer"),
    (r"([\w/]*[./])?(momentum|target|teacher|ema|encoder_k|key)(_\w+)?[./]", "momentum encoder"),
    (r"(.*[./])?(queue|memory_bank|memory)\w*([./]|$)", "queue"),
    (r"(.*[./])?prototypes", "prototypes"),
    (r"([\w/]*[./])?\w*predict(or|ion_head)\w*[./]", "predictor"),
    (
        r"([\w/]*[./])?\w*(projector|projection|projection_head|proj_head|neck|(dino|ibot)_head)[./]",
        "projector",
    ),
    (r"([\w/]*[./])?decoder", "decoder"),
    (r"(.*[./])?mask(ed)?_(token|embed)\w*$", "mask token"),
    (
        r".*(relative_position_index|attn_mask|position_ids|relative_coords_table)$",
        "position buffers",
    ),
    (r"([\w/]*[./])?(\w*classifier|fc|linear|head|head_dist|heads)[./]", CLASSIFIER),
)
# The kinds that cannot be part of a backbone by their first word.
_OUTSIDE = frozenset({"optimizer", "queue", "prototypes", "predictor", "projector"})
_MASK = "mask token"
# A tensor near the beginning of every network that can be found under an unknown prefix.
_ANCHORS = (
    "layer1.0.conv1.weight",
    "patch_embed.proj.weight",
    "features.0.0.weight",
    "features.0.weight",
    "features.conv0.weight",
    "conv_stem.weight",
    "stem.0.weight",
    "stem.conv.weight",
    "stem.conv1.weight",
    "4.0.conv1.weight",
)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What `extract` finds: the fields of `Checkpoint` that a layout determines."""

    tensors: Mapping[str, Tensor]
    names: Mapping[str, str]
    left_over: Mapping[str, tuple[str, ...]]
    taken: str
    epoch: int | None
    architecture: str
    method: str


def bears(flat: Flat, layout: Format) -> bool:
    """Whether the file bears all marks of a layout."""
    names = [*flat.tensors, *flat.facts]
    return (
        all(_some(mark, names) for mark in layout.marks)
        and not any(_some(mark, names) for mark in layout.lacks)
        and (layout.test is None or layout.test(flat))
    )


def extract(flat: Flat, layout: Format, take: str, path: Path) -> Found:
    """Take one network out of the file.

    Raises:
        CheckpointError: there is none, or not the one asked for, or one must be chosen.
    """
    if all(kind_of(name) == "optimizer" for name in flat.tensors):
        raise CheckpointError(_nothing(flat, path))
    part, others = _choose(flat, layout, take, path)
    inside = _under(part.where, _one_level(part.where, flat, path))
    kinds = {name: _kind_inside(name, layout) for name in inside}
    own = {name: place for name, place in inside.items() if kinds[name] == OTHER}
    _demand_network(own, flat, path)
    places = rename_all(own, layout.rules)
    outside = {flat.raw[inside[name]]: kinds[name] for name in inside if name not in own}
    taken = set(inside.values())
    rest = {
        flat.raw[n]: kind_of(n, (*layout.beside, *KINDS)) for n in flat.tensors if n not in taken
    }
    tensors = {name: flat.tensors[place] for name, place in places.items()}
    return Found(
        tensors=reshape(tensors, layout.rules),
        names={name: flat.raw[place] for name, place in places.items()},
        left_over=by_kind({**outside, **rest}),
        taken=_sentence(part, others),
        epoch=_epoch(flat, layout),
        architecture=_stated(flat),
        method=next((m for mark, m in layout.methods if _some(mark, flat.raw)), ""),
    )


def kind_of(name: str, kinds: Iterable[tuple[str, str]] = KINDS) -> str:
    """Return the kind of a tensor that is not the backbone's.

    Example:
        >>> kind_of("optimizer/state/0/momentum_buffer"), kind_of("prototypes.weight")
        ('optimizer', 'prototypes')
    """
    return next((kind for pattern, kind in kinds if re.match(pattern, name)), OTHER)


def by_kind(kinds: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Turn name to kind into kind to names."""
    found: dict[str, tuple[str, ...]] = {}
    for name, kind in kinds.items():
        found[kind] = (*found.get(kind, ()), name)
    return found


def named_tensors(tree: Any, path: Path) -> dict[str, Tensor]:
    """Return a dictionary's tensors, unwrapped from one level, under their names in it.

    Raises:
        CheckpointError: there are none.
    """
    if isinstance(tree, Mapping):
        for level in (tree, *[tree.get(key) for key in ("state_dict", "model")]):
            if isinstance(level, Mapping) and level:
                tensors = {str(k): v for k, v in level.items() if isinstance(v, Tensor)}
                if tensors:
                    return tensors
    raise CheckpointError(f"{path} has no named tensors; save the network's state_dict alone.")


def _choose(flat: Flat, layout: Format, take: str, path: Path) -> tuple[Part, list[Part]]:
    """Return the part that is taken, and the others that the file holds."""
    present = [part for part in layout.parts if _under(part.where, flat.tensors)]
    if not layout.parts:
        present = [_prefixed(prefix) for prefix in _prefixes(flat.tensors)]
    if take:
        chosen = [part for part in present if part.take == take]
        asked = Part(take=take, what=f"network under '{take}'", where=LEVEL + re.escape(take))
        chosen = chosen or [asked] * bool(_under(asked.where, flat.tensors))
        if not chosen:
            raise CheckpointError(_no_part(take, present, path))
    elif not layout.parts and len(present) > 1:
        raise CheckpointError(
            f"{path} holds {len(present)} networks, under"
            f" {', '.join(repr(part.take) for part in present)}; say which one you mean: set"
            f" take = '{present[0].take}' in the encoder's spec."
        )
    else:
        chosen = present[:1] or [_prefixed(_level(flat.tensors))]
    return chosen[0], [part for part in present if part != chosen[0]]


def _prefixed(prefix: str) -> Part:
    return Part(take=prefix, what=f"network under '{prefix}'", where=re.escape(prefix))


def _no_part(take: str, present: list[Part], path: Path) -> str:
    words = ", ".join(f"'{part.take}' ({part.what})" for part in present) or "one network only"
    return f"{path} has nothing to take as '{take}'; it has {words}."


def _prefixes(names: Iterable[str]) -> list[str]:
    """Return what stands before the first network-like names."""
    found = set()
    listed = list(names)
    for anchor in _ANCHORS:
        ends = [name for name in listed if f".{name.replace('/', '.')}".endswith(f".{anchor}")]
        found |= {name.removesuffix(anchor) for name in ends}
        if found:
            return sorted(found)
    return []


def _level(names: Iterable[str]) -> str:
    """Return the level that holds most of the file's tensors, apart from optimisers."""
    levels: dict[str, int] = {}
    for name in names:
        level = name.rpartition("/")[0]
        if kind_of(name) != "optimizer":
            levels[level] = levels.get(level, 0) + 1
    most = max(levels, key=lambda level: levels[level], default="")
    return f"{most}/" if most else ""


def _under(where: str, names: Iterable[str]) -> dict[str, str]:
    """Return the names under a prefix, without it, to the names with it."""
    found: dict[str, str] = {}
    pattern = re.compile(where)
    for name in names:
        match = pattern.match(name)
        rest = name[match.end() :] if match else ""
        if rest and "/" not in rest and rest not in found:
            found[rest] = name
    return found


def _one_level(where: str, flat: Flat, path: Path) -> list[str]:
    """Return the names of the level that the network is in: two levels may hold two networks.

    Raises:
        CheckpointError: several levels hold tensors of a network.
    """
    levels: dict[str, list[str]] = {}
    for name in flat.tensors:
        levels.setdefault(name.rpartition("/")[0], []).append(name)
    networks = [
        level
        for level, names in levels.items()
        if any(kind_of(rest) == OTHER for rest in _under(where, names))
    ]
    if len(networks) > 1:
        raise CheckpointError(
            f"{path} holds {len(networks)} networks, under"
            f" {', '.join(repr(f'{level}/') for level in networks)}; say which one you mean: set"
            f" take = '{networks[0]}/' in the encoder's spec."
        )
    return levels[networks[0]] if networks else list(flat.tensors)


def _kind_inside(name: str, layout: Format) -> str:
    """Return the kind of a tensor under the network's prefix; other if it may be the network's."""
    kind = kind_of(name, layout.kinds)
    first = kind_of(name.partition(".")[0] + ".") if kind == OTHER else kind
    if first in _OUTSIDE or kind != OTHER:
        return first
    return _MASK if kind_of(name) == _MASK else OTHER


def _sentence(part: Part, others: list[Part]) -> str:
    if not others:
        return ""
    return f"{part.what} (left: {', '.join(other.what for other in others)})"


def _epoch(flat: Flat, layout: Format) -> int | None:
    if layout.epoch is None:
        return None
    place, added = layout.epoch
    value = flat.facts.get(place)
    if not isinstance(value, int) or isinstance(value, bool) or value + added <= 0:
        return None
    return value + added


def _stated(flat: Flat) -> str:
    for place in ("arch", "args/arch", "model_name", "args/model", "architecture"):
        value = flat.facts.get(place) or flat.metadata.get(place)
        if isinstance(value, str):
            return value
    return ""


def _some(pattern: str, names: Iterable[str]) -> bool:
    matcher = re.compile(pattern)
    return any(matcher.match(name) for name in names)


def _demand_network(own: Mapping[str, str], flat: Flat, path: Path) -> None:
    kinds = {kind_of(place) for place in own.values()}
    if own and not kinds <= {"projector", "predictor", "prototypes", "queue", CLASSIFIER}:
        return
    held = sorted({kind_of(name) for name in flat.tensors} - {OTHER}) or ["no network"]
    raise CheckpointError(
        f"{path} holds no backbone, only: {', '.join(held)}. Take the checkpoint that the"
        " pre-training wrote."
    )


def _nothing(flat: Flat, path: Path) -> str:
    if flat.tensors or any(kind_of(name) == "optimizer" for name in flat.facts):
        return (
            f"{path} holds an optimiser's state and no network; take the file beside it that holds"
            " the model."
        )
    keys = ", ".join(sorted({name.split("/")[0] for name in flat.facts})[:8])
    return f"{path} has no named tensors; it has: {keys}. Save the network's state_dict alone."
