"""The identity of a module's weights."""

import torch
import xxhash
from torch import nn


def weights_digest(module: nn.Module) -> str:
    """Return 16 hex digits (xxh3) of a module's tensors: names, shapes, types and bytes.

    Buffers that are not persistent do not count; device and memory format do not matter.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> before = weights_digest(layer)
        >>> _ = layer.bias.data.add_(1.0)
        >>> weights_digest(layer) == before
        False
    """
    state = xxhash.xxh3_64()
    for name, tensor in sorted(module.state_dict().items()):
        state.update(f"{name}|{tuple(tensor.shape)}|{tensor.dtype}\n".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        state.update(flat.view(torch.uint8).numpy().data)
    return state.hexdigest()
