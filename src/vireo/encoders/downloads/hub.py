"""timm's weights on the Hugging Face Hub: the local cache first, and no waiting without a network.

huggingface_hub asks the network even for a file it has, and tries again for most of a minute where
there is none. Here the cache is used as it is; if it lacks the file, one short question tells
whether the Hub can be reached, and if not, huggingface_hub is told that it is offline.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vireo.encoders.downloads import transfers
from vireo.encoders.downloads.fetching import is_offline
from vireo.errors import CheckpointError

_SHA256 = re.compile(r"[0-9a-f]{64}")


def cached(name: str) -> Path | None:
    """Return the file of timm's weights `NAME.TAG` in huggingface_hub's cache, if it is there."""
    from huggingface_hub import try_to_load_from_cache

    repository, revision = _repository(name)
    for file in _files(name) if repository else ():
        found = try_to_load_from_cache(repository, file, revision=revision)
        if isinstance(found, str):
            return Path(found)
    return None


@contextlib.contextmanager
def offline_unless_needed(name: str) -> Iterator[None]:
    """Keep huggingface_hub off the network for the block, unless it needs and has one."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or not (cached(name) is not None or _unreachable()):
        yield
        return
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = False


def fetch(name: str) -> Path:
    """Return the file of timm's weights `NAME.TAG`, downloaded if needed, its hash checked.

    Raises:
        CheckpointError: it is not in the cache and cannot be downloaded, or is damaged.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    repository, revision = _repository(name)
    with offline_unless_needed(name):
        for file in _files(name) if repository else ():
            try:
                return _checked(Path(hf_hub_download(repository, file, revision=revision)))
            except EntryNotFoundError:
                continue
            except OSError as error:
                raise CheckpointError(advice(name)) from error
    raise CheckpointError(advice(name))


def advice(name: str) -> str:
    """Say where timm's weights are, and what to do without a network."""
    from huggingface_hub.constants import HF_HUB_CACHE

    repository, _ = _repository(name)
    address = f"https://huggingface.co/{repository}" if repository else "its publisher"
    return (
        f"timm's weights of '{name}' are not in the cache {HF_HUB_CACHE} and cannot be downloaded"
        f" from {address}. Download model.safetensors there where there is a network, and open it"
        f" as file:PATH with architecture timm:{name.partition('.')[0]}; or copy the cache folder."
    )


def _checked(path: Path) -> Path:
    """Compare a large file with its name in the cache, which is its SHA-256."""
    blob = path.resolve()
    if _SHA256.fullmatch(blob.name):
        with blob.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != blob.name:
            raise CheckpointError(
                f"{path} is damaged: its SHA-256 is {found[:16]}..., it should be"
                f" {blob.name[:16]}.... Delete {blob} to fetch it again."
            )
    return path


def _repository(name: str) -> tuple[str, str | None]:
    facts = _facts(name)
    repository, _, revision = ((facts.hf_hub_id if facts else "") or "").partition("@")
    return repository, revision or None


def _files(name: str) -> tuple[str, ...]:
    stated = getattr(_facts(name), "hf_hub_filename", None)
    return tuple(filter(None, (stated, "model.safetensors", "pytorch_model.bin")))


def _facts(name: str) -> Any:
    from timm import get_pretrained_cfg

    try:
        return get_pretrained_cfg(name)
    except RuntimeError:  # timm has no such tag; whoever builds the network says so
        return None


def _unreachable() -> bool:
    from huggingface_hub.constants import ENDPOINT

    return is_offline() or not transfers.reachable(ENDPOINT)
