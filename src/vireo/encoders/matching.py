"""Fill a network from named tensors, strictly: every tensor of the backbone exactly once.

A file may hold more than a backbone (a projector, a queue): that is left over, and said. But a
left-over tensor inside the backbone's own layers means that the file is of a deeper network, and is
refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from vireo.encoders.backbones import Network
from vireo.errors import CheckpointError

# Counters of batches seen in training: older files lack them, and evaluation does not read them.
_COUNTER = "num_batches_tracked"
# Tables that follow from an architecture alone: older files hold them, networks make them anew.
TABLES = ("relative_position_index", "attn_mask", "position_ids", "relative_coords_table")


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How a file's tensors meet a network's, under one prefix of the file's names.

    Attributes:
        prefix: what the file puts before every name ("module.encoder_q.").
        matched: names found with the right shape; misshapen: found with another shape.
        missing: names of the network that the file lacks.
        deeper: names the file has inside the network's own layers, and the network lacks.
        unused: the file's other names, apart from the classifier.
    """

    prefix: str
    matched: tuple[str, ...]
    misshapen: tuple[str, ...]
    missing: tuple[str, ...]
    deeper: tuple[str, ...]
    unused: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether the file fills the network, and is not of a larger one."""
        return not (self.misshapen or self.missing or self.deeper)

    def report(self) -> str:
        """Say in one clause what matches and what does not, with the first names."""
        parts = {
            "missing": self.missing,
            "of another shape": self.misshapen,
            "too many for this network": self.deeper,
            "left over": self.unused,
        }
        said = [f"{len(names)} {what}{_first(names)}" for what, names in parts.items() if names]
        return "; ".join([f"{len(self.matched)} tensors match", *said])


def cover(network: Network, tensors: Mapping[str, Tensor]) -> list[Coverage]:
    """Return the coverage under every prefix that makes sense, the best first."""
    wanted = {name: tensor.shape for name, tensor in _state(network).items()}
    first = next(iter(wanted))
    prefixes = {name.removesuffix(first) for name in tensors if f".{name}".endswith(f".{first}")}
    found = [_cover(network, wanted, tensors, prefix) for prefix in sorted(prefixes | {""})]
    return sorted(found, key=lambda coverage: (not coverage.complete, -len(coverage.matched)))


def fill(network: Network, tensors: Mapping[str, Tensor], path: Path) -> Coverage:
    """Load `tensors` into the network's backbone; half precision becomes float32.

    Raises:
        CheckpointError: a tensor is missing, of another shape or kind, or not finite; or two sets
            of tensors fit (a momentum encoder beside the query encoder).
    """
    coverages = cover(network, tensors)
    best = coverages[0]
    if not best.complete:
        raise CheckpointError(f"{path} does not fill the network: {best.report()}.")
    fitting = [coverage.prefix for coverage in coverages if coverage.complete]
    if len(fitting) > 1:
        raise CheckpointError(
            f"{path} holds {len(fitting)} networks that fit, under {', '.join(map(repr, fitting))};"
            f" say which one you mean: set take = '{max(fitting)}' in the encoder's spec."
        )
    state = _state(network)
    for name in best.matched:
        state[name] = _convert(tensors[best.prefix + name], state[name].dtype, name, path)
    network.backbone.network.load_state_dict(state, strict=True)
    return best


def read_classifier(
    network: Network, features: int, tensors: Mapping[str, Tensor], prefix: str
) -> nn.Linear | None:
    """Return the file's linear classifier on the pooled feature, or None where it has none."""
    start = f"{prefix}{network.classifier}."
    weight, bias = tensors.get(f"{start}weight"), tensors.get(f"{start}bias")
    if weight is None or bias is None or not network.classifier:
        return None
    if bias.ndim != 1 or weight.shape != (len(bias), features):
        return None
    classifier = nn.Linear(features, len(bias))
    classifier.load_state_dict({"weight": weight.float(), "bias": bias.float()})
    return classifier


def _cover(
    network: Network, wanted: Mapping[str, torch.Size], tensors: Mapping[str, Tensor], prefix: str
) -> Coverage:
    found = {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
    classifier = f"{network.classifier}." if network.classifier else "\0"
    rest = [name for name in found if name not in wanted and not name.startswith(classifier)]
    layers = {_layer(name) for name in wanted}
    beside = {n for n in rest if _layer(n) not in layers or n.endswith(TABLES)}
    outside = [name for name in tensors if not name.startswith(prefix)]
    required = {name for name in wanted if not name.endswith(_COUNTER)}
    return Coverage(
        prefix=prefix,
        matched=tuple(
            name for name in wanted if name in found and found[name].shape == wanted[name]
        ),
        misshapen=tuple(n for n in wanted if n in found and found[n].shape != wanted[n]),
        missing=tuple(name for name in wanted if name in required and name not in found),
        deeper=tuple(name for name in rest if name not in beside),
        unused=(*(prefix + name for name in rest if name in beside), *outside),
    )


def _layer(name: str) -> str:
    """Return a name's first part, without its number: layer5 is of the network as layer4 is."""
    first = name.partition(".")[0]
    bare = first.rstrip("0123456789")
    return f"{bare}#" if bare and bare != first else first


def _convert(tensor: Tensor, dtype: torch.dtype, name: str, path: Path) -> Tensor:
    if tensor.layout != torch.strided:
        raise CheckpointError(f"{path}: '{name}' is sparse; save it as a dense tensor.")
    if name.endswith(_COUNTER):  # a running average of weights makes it a fraction
        return tensor.to(dtype)
    if tensor.is_floating_point() != dtype.is_floating_point or tensor.is_quantized:
        raise CheckpointError(
            f"{path}: '{name}' is {tensor.dtype}, the network needs {dtype};"
            " save the network before it is quantised."
        )
    converted = tensor.to(dtype)
    if not torch.isfinite(converted).all():
        raise CheckpointError(
            f"{path}: '{name}' holds NaN or infinity; take an earlier checkpoint of that training."
        )
    return converted


def _state(network: Network) -> dict[str, Tensor]:
    return dict(network.backbone.network.state_dict())


def _first(names: Iterable[str], count: int = 3) -> str:
    listed = list(names)
    more = ", ..." if len(listed) > count else ""
    return f" ({', '.join(listed[:count])}{more})"
