"""Camera poses, and how a camera moved between two of them.

A pose turns a point of the camera (x to the right, y down, z ahead) into one of the world. A motion
has six parts: how far the camera moved along its own axes at the first frame, in metres, and by how
much it turned around them, in degrees.
"""

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

from vireo.errors import DataError

Pose = Float64[np.ndarray, "4 4"]

PARTS = (
    ("left", "right"),
    ("up", "down"),
    ("back", "ahead"),
    ("look-down", "look-up"),
    ("turn-left", "turn-right"),
    ("roll-left", "roll-right"),
)
"""What a negative and a positive number of each part of a motion is called."""
_NONE = "none"
MOTIONS = (_NONE, *(name for names in PARTS for name in names))


def read_pose(content: bytes, name: str) -> Pose | None:
    """Read a camera-to-world matrix, 4 x 4 or without its last row, as 7-Scenes stores it.

    Returns:
        The pose; None where it is not finite: so ScanNet marks frames whose pose is not known.

    Raises:
        DataError: the file is no such matrix, or the matrix turns more than it rotates.
    """
    numbers = _numbers(content, name)
    if numbers.size not in (12, 16):
        raise DataError(
            f"{name} holds {numbers.size} numbers; a pose has 16 (or 12), the rows of a "
            "camera-to-world matrix. Correct the file or the option 'poses'."
        )
    pose = np.eye(4)
    pose.reshape(-1)[: numbers.size] = numbers
    if not np.isfinite(pose).all():
        return None
    turn = pose[:3, :3]
    exact = np.allclose(turn @ turn.T, np.eye(3), atol=0.02) and np.linalg.det(turn) > 0
    if not exact or not np.allclose(pose[3], [0, 0, 0, 1], atol=1e-6):
        raise DataError(
            f"{name} is no camera pose: its 3 x 3 part must be a rotation and its last row "
            "0 0 0 1. Convert it to a camera-to-world matrix."
        )
    return pose


def motion(first: Pose, second: Pose) -> Float64[np.ndarray, "6"]:
    """Return metres along, and degrees around, the axes of the first camera (see `PARTS`)."""
    turn = first[:3, :3].T
    metres = turn @ (second[:3, 3] - first[:3, 3])
    degrees = np.degrees(Rotation.from_matrix(turn @ second[:3, :3]).as_rotvec())
    return np.concatenate([metres, degrees])


def motion_name(
    parts: Float64[np.ndarray, "6"], *, metres: float, degrees: float, motions: tuple[str, ...]
) -> str | None:
    """Return which of `motions` the largest part is, each measured in units of its threshold.

    Args:
        parts: see `motion`.
        metres: the smallest part that counts; below it and `degrees` the name is "none".
        degrees: likewise.
        motions: the names that compete.

    Returns:
        The name; None where it is "none" and that is not among `motions`.

    Example:
        >>> parts = np.array([0.02, 0.0, 0.3, 0.0, -8.0, 1.0])
        >>> motion_name(parts, metres=0.1, degrees=4.0, motions=MOTIONS)
        'ahead'
        >>> motion_name(parts, metres=0.1, degrees=2.0, motions=MOTIONS)
        'turn-left'
    """
    shares = parts / np.repeat([metres, degrees], 3)
    found = {
        name: sign * float(share)
        for names, share in zip(PARTS, shares, strict=True)
        for name, sign in zip(names, (-1, 1), strict=True)
        if name in motions
    }
    best = max(found, key=lambda name: found[name])
    if found[best] >= 1:
        return best
    return _NONE if _NONE in motions else None


def _numbers(content: bytes, name: str) -> Float64[np.ndarray, " n"]:
    try:
        words = content.decode("ascii").replace(",", " ").split()
        return np.array([float(word) for word in words], dtype=np.float64)
    except ValueError as error:
        raise DataError(
            f"{name} is no text of numbers ({error}); a pose file holds the rows of a matrix."
        ) from error
