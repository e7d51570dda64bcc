"""Some frames of a video, spread evenly over it, by PyAV."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from vireo.catalog import needs
from vireo.errors import DataError, MissingExtraError

VIDEOS = (".mp4", ".avi", ".mkv", ".webm", ".mov")

Frame = UInt8[np.ndarray, "height width 3"]


def spread(length: int, count: int) -> list[int]:
    """Return the middles of `count` equal parts of a row of `length`, as places in it.

    Example:
        >>> spread(6, 6), spread(12, 3), spread(2, 4)
        ([0, 1, 2, 3, 4, 5], [2, 6, 10], [0, 0, 1, 1])
    """
    return [(2 * part + 1) * length // (2 * count) for part in range(count)]


def read_frames(video: Path, count: int) -> tuple[Frame, ...]:
    """Decode `count` frames of a video, in the order they are shown.

    Packets are counted first, without decoding: what the file's head says of its length is often
    wrong. A video that ends early repeats its last frame.

    Raises:
        DataError: it is broken or has no frames.
        MissingExtraError: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtraError(needs("av", "Reading videos")) from error
    try:
        wanted = spread(_length(video), count)
        found = _decoded(video, wanted)
    except (av.error.FFmpegError, OSError, ValueError, IndexError) as error:
        raise DataError(f"{video} cannot be read ({error}); remove it.") from error
    if not found:
        raise DataError(f"{video} has no frames; remove it.")
    return tuple(found)


def _length(video: Path) -> int:
    import av

    with av.open(str(video)) as container:
        return sum(packet.size > 0 for packet in container.demux(video=0))


def _decoded(video: Path, wanted: list[int]) -> list[Frame]:
    """Return the frames at the places `wanted`, which do not fall."""
    import av

    found: list[Frame] = []
    frame = None
    with av.open(str(video)) as container:
        for place, frame in enumerate(container.decode(video=0)):
            while len(found) < len(wanted) and wanted[len(found)] == place:
                found.append(frame.to_ndarray(format="rgb24"))
            if len(found) == len(wanted):
                return found
        if frame is not None:
            last = frame.to_ndarray(format="rgb24")
            found += [last] * (len(wanted) - len(found))
    return found
