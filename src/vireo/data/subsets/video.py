"""Frames of videos at a constant rate, as JPEG files in a folder a video.

A video is written whole or not at all, and one that is there is not read again, so an interrupted
run goes on where it was.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vireo import console, files
from vireo.catalog import needs
from vireo.data.sources.listing import list_files, open_folder
from vireo.errors import DataError, MissingExtraError

EXTENSIONS = (".mp4", ".webm", ".avi", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg")
_QUALITY = 95


def extract_frames(videos: Path, out: Path, *, per_second: float, short_side: int = 0) -> list[str]:
    """Write the frames of all videos below a folder; returns the names of those that are broken.

    Args:
        videos: the folder; "class/name.mp4" becomes "class/name/000001.jpg", ...
        out: where the frames go.
        per_second: the rate; of each 1 / rate seconds the first frame is taken.
        short_side: frames are made smaller to this, in pixels; 0 leaves them as they are.

    Raises:
        DataError: no videos, or none of them can be read; a rate that is not positive.
        MissingExtraError: PyAV is not installed.
    """
    if per_second <= 0:
        raise DataError(f"The rate must be above 0 frames a second; got {per_second}.")
    folder = open_folder(videos)
    entries = list_files(folder, EXTENSIONS)
    broken = []
    for name, _ in console.track(entries, "Extracting frames", len(entries)):
        place = out / Path(name).with_suffix("")
        if place.is_dir():
            continue
        try:
            _extract(folder / name, place, per_second, short_side)
        except DataError as error:
            console.warn(str(error))
            broken.append(name)
    if len(broken) == len(entries):
        raise DataError(f"None of the {len(entries)} videos in {folder} can be read.")
    return broken


def _extract(video: Path, place: Path, per_second: float, short_side: int) -> None:
    with files.atomic_folder(place) as folder:
        number = 0
        for number, image in enumerate(_frames(video, per_second), start=1):
            _smaller(image, short_side).save(folder / f"{number:06d}.jpg", quality=_QUALITY)
        if not number:
            raise DataError(f"{video} has no frames; it is left out.")


def _smaller(image: Any, short_side: int) -> Any:
    scale = short_side / min(image.size)
    if not 0 < scale < 1:
        return image
    return image.resize((round(image.width * scale), round(image.height * scale)))


def _frames(video: Path, per_second: float) -> Iterator[Any]:
    """Yield the frames at the times 0, 1/rate, 2/rate ... as Pillow images."""
    try:
        import av
    except ImportError as error:
        raise MissingExtraError(needs("av", "Reading videos")) from error
    wanted = 0
    try:
        with av.open(str(video)) as container:
            for frame in container.decode(video=0):
                # half a millisecond of grace: times are fractions of the stream's own clock
                if frame.time is not None and frame.time * per_second >= wanted - 5e-4:
                    yield frame.to_image()  # type: ignore[no-untyped-call]
                    wanted = int(frame.time * per_second + 5e-4) + 1
    except (av.error.FFmpegError, OSError, ValueError, IndexError) as error:
        raise DataError(f"{video} cannot be read ({error}); it is left out.") from error
