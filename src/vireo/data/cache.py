"""Where things are kept that can be made again: below $XDG_CACHE_HOME, or ~/.cache."""

import os
from pathlib import Path


def cache_folder(kind: str) -> Path:
    """Return the folder of one kind of things; it need not be there.

    Example:
        >>> cache_folder("shards").parts[-2:]
        ('vireo', 'shards')
    """
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "vireo" / kind
