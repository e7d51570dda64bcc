"""Randomness as a function of what it is for: (digest, purpose, epoch, index).

No global random state is read or written, so the draws for one example do not depend on worker
count, order or what ran before, and a resumed run repeats them.
"""

import numpy as np
import xxhash


def integer(digest: str, purpose: str, epoch: int = 0, index: int = 0) -> int:
    """Return a 63-bit seed for this purpose (63, so that torch and NumPy both take it).

    Example:
        >>> integer("run", "views", 3, 7) == integer("run", "views", 3, 7)
        True
    """
    return xxhash.xxh3_64_intdigest(f"{digest}|{purpose}|{epoch}|{index}".encode()) >> 1


def generator(digest: str, purpose: str, epoch: int = 0, index: int = 0) -> np.random.Generator:
    """Return a NumPy generator seeded by `integer`."""
    return np.random.Generator(np.random.PCG64(integer(digest, purpose, epoch, index)))
