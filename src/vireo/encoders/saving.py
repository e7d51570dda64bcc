"""Write an encoder and read it back: `encoder.safetensors`, and `card.json` last.

The card names the digest of the weights, so a folder whose halves do not belong together is
refused.
"""

import dataclasses
import types
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from torch import Tensor, nn

from vireo import files
from vireo.digest import plain
from vireo.encoders import FAMILIES
from vireo.encoders.checkpoints import read_tensors
from vireo.encoders.encoder import Encoder
from vireo.encoders.measure import measure
from vireo.encoders.opening import expand, make_network, override
from vireo.encoders.weights import weights_digest
from vireo.errors import CheckpointError, StoreError
from vireo.records import EncoderCard, EncoderSpec

WEIGHTS = "encoder.safetensors"
CARD = "card.json"
_FORMAT = 1


def save_encoder(encoder: Encoder, folder: Path) -> EncoderCard:
    """Write weights and card to `folder`, each atomically, the card last. Returns the card written.

    The card is the encoder's, with the digest of its weights as they are now.
    """
    from safetensors.torch import save

    card = dataclasses.replace(encoder.card, weights=weights_digest(encoder.backbone))
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()
    }
    # A card left from before describes other weights: without it, the folder is unfinished.
    (folder / CARD).unlink(missing_ok=True)
    files.write_bytes(folder / WEIGHTS, save(tensors))
    files.write_json(folder / CARD, {"format": _FORMAT, "card": plain(card)})
    return card


def open_run(spec: EncoderSpec, text: str) -> Encoder:
    """Open `run:DIR`: a folder that `save_encoder` or a pre-training run has written.

    Raises:
        CheckpointError: unfinished, written by another version, or weights and card do not match;
            or the card names a builder outside vireo that the spec does not state: opening the
            folder of a stranger must not import its code.
    """
    folder = expand(text)
    card = dataclasses.replace(read_card(folder), source=spec.spec)
    _check_architecture(card, spec, folder)
    tensors = read_tensors(folder / WEIGHTS)
    network = make_network(card.architecture, input_size=card.input_size)
    encoder = Encoder(card, network.backbone, _classifier(tensors))
    try:
        encoder.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise CheckpointError(
            f"{folder / WEIGHTS} does not fill '{card.architecture}', which its card names; the"
            " folder was changed after it was written."
        ) from error
    if weights_digest(encoder.backbone) != card.weights:
        raise CheckpointError(
            f"The weights in {folder} have another digest than {CARD} says: one of the two files"
            " was replaced. Copy both again from where they were written."
        )
    return _resized(override(encoder, spec), spec.input_size)


def _check_architecture(card: EncoderCard, spec: EncoderSpec, folder: Path) -> None:
    """Refuse another architecture than stated, and code that only the folder asks for."""
    architecture = card.architecture
    if spec.architecture not in ("", architecture):
        raise CheckpointError(
            f"The spec of {folder} states the architecture '{spec.architecture}', but its card says"
            f" '{architecture}'; correct the spec."
        )
    own = ":" in architecture and architecture.partition(":")[0] not in FAMILIES
    if own and not spec.architecture:
        raise CheckpointError(
            f"The card in {folder} asks to import '{architecture}', which is code outside vireo, so"
            " it was not done. If you trust it, state it in the encoder's spec:"
            f" architecture = '{architecture}'."
        )


def read_card(folder: Path) -> EncoderCard:
    """Read a folder's card; no weights are read.

    Raises:
        CheckpointError: there is none, or it is not a card of this version.
    """
    if not folder.is_dir():
        raise CheckpointError(f"There is no folder {folder}; check the path after 'run:'.")
    if not (folder / CARD).is_file():
        raise CheckpointError(
            f"{folder} has no {CARD}: the run is unfinished. Run it again to go on."
        )
    try:
        content = files.read_json(folder / CARD)
    except StoreError as error:
        raise CheckpointError(str(error)) from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise CheckpointError(f"{folder / CARD} is not a card of format {_FORMAT}; save it again.")
    return _parse(content.get("card"), folder / CARD)


def _parse(value: Any, path: Path) -> EncoderCard:
    hints = get_type_hints(EncoderCard)
    fields = dataclasses.fields(EncoderCard)
    needed = {field.name for field in fields if field.default is dataclasses.MISSING}
    given = set(value) if isinstance(value, dict) else set()
    if not needed <= given <= set(hints):
        wrong = ", ".join(sorted((needed - given) | (given - set(hints))))
        raise CheckpointError(
            f"{path} was written by another version of vireo (fields that differ: {wrong});"
            " save the encoder again with this one."
        )
    facts: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in value.items()
    }
    bad = [key for key, fact in facts.items() if not _fits(fact, hints[key])]
    if bad:
        raise CheckpointError(f"{path}: '{bad[0]}' is {value[bad[0]]!r}, not {hints[bad[0]]}.")
    return EncoderCard(**facts)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value read from JSON has the type of a card's field."""
    inner = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, option) for option in inner)
    if get_origin(hint) is tuple:
        return (
            isinstance(value, tuple) and len(value) == len(inner) and all(map(_fits, value, inner))
        )
    kinds = (int, float) if hint is float else (hint,)
    return isinstance(value, kinds) and not isinstance(value, bool)


def _classifier(tensors: dict[str, Tensor]) -> nn.Linear | None:
    weight = tensors.get("classifier.weight")
    if weight is None or weight.ndim != 2:
        return None
    return nn.Linear(weight.shape[1], weight.shape[0])


def _resized(encoder: Encoder, input_size: tuple[int, int] | None) -> Encoder:
    if input_size is None or input_size == encoder.card.input_size:
        return encoder
    measured = measure(encoder.backbone, input_size)  # type: ignore[arg-type]
    encoder.card = dataclasses.replace(encoder.card, input_size=input_size, **vars(measured))
    return encoder
