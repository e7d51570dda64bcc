"""Pixel-level datasets in miniature: few and small files, in the layout that is published.

Each maker writes below a folder, by other tools than those that read it back, and returns the
numbers that it wrote, by the name that the reader should give the example.
"""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from scipy.io import savemat

CITIES = {"train": ("aachen", "bochum"), "val": ("frankfurt",)}
HAND_FIELDS = ("myleft", "myright", "yourleft", "yourright")
BUILDINGS = ("almena", "benevolence", "cosmos")


def noise(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, array: np.ndarray, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def blocks(rng: np.random.Generator, shape: tuple[int, int], codes) -> np.ndarray:
    """A map of 4 x 4 blocks, each of one of the codes, all of which occur."""
    height, width = shape
    rows, columns = height // 4, width // 4
    drawn = rng.choice(codes, size=(rows, columns))
    drawn.flat[: len(codes)] = codes
    return np.repeat(np.repeat(drawn, 4, axis=0), 4, axis=1)


def cityscapes(root: Path, size: tuple[int, int] = (32, 64)) -> dict[str, np.ndarray]:
    """leftImg8bit and gtFine, with the files beside the label ids that the package brings."""
    rng, truth = np.random.default_rng(0), {}
    ids = np.array([*range(34)], dtype=np.uint8)
    for split, cities in CITIES.items():
        for city in cities:
            for number in range(2):
                stem = f"{city}_{number:06d}_000019"
                name = f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png"
                save(root / name, noise(rng, *size))
                labels = root / f"gtFine/{split}/{city}/{stem}_gtFine"
                truth[name] = blocks(rng, size, ids)
                save(labels.with_name(f"{labels.name}_labelIds.png"), truth[name])
                instances = truth[name].astype(np.uint16) * 1000
                save(labels.with_name(f"{labels.name}_instanceIds.png"), instances)
                save(labels.with_name(f"{labels.name}_color.png"), noise(rng, *size))
                labels.with_name(f"{labels.name}_polygons.json").write_text("{}")
    return truth


def pets(root: Path, size: tuple[int, int] = (24, 20)) -> dict[str, np.ndarray]:
    """Images and trimaps of the archives as torchvision unpacks them, with the lists."""
    rng, truth = np.random.default_rng(1), {}
    base = root / "oxford-iiit-pet"
    for split, count in {"trainval": 6, "test": 4}.items():
        lines = []
        for number in range(count):
            breed, species = [("Abyssinian", 1), ("american_bulldog", 2)][number % 2]
            stem = f"{breed}_{number + (100 if split == 'test' else 1)}"
            lines.append(f"{stem} {number % 2 + 1} {species} 1")
            save(base / f"images/{stem}.jpg", noise(rng, *size))
            trimap = blocks(rng, size, np.array([1, 2, 3], dtype=np.uint8))
            truth[f"oxford-iiit-pet/images/{stem}.jpg"] = trimap
            save(base / f"annotations/trimaps/{stem}.png", trimap)
            (base / f"annotations/trimaps/._{stem}.png").write_bytes(b"left by another system")
        (base / f"annotations/{split}.txt").write_text("\n".join(lines) + "\n")
    return truth


def hand(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A star-shaped outline, partly outside the frame."""
    height, width = size
    angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
    radii = rng.uniform(0.1, 0.45, 9) * height
    middle = rng.uniform(0, [width, height])
    return middle + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def struct_array(rows: list[dict], fields: tuple[str, ...]) -> np.ndarray:
    """A MATLAB struct array of one row, as SciPy writes it."""
    array = np.zeros((1, len(rows)), dtype=[(field, object) for field in fields])
    for place, row in enumerate(rows):
        for field in fields:
            array[0, place][field] = row[field]
    return array


def egohands(
    root: Path, videos, size: tuple[int, int] = (36, 64), frames: int = 1
) -> dict[str, list[np.ndarray]]:
    """_LABELLED_SAMPLES and metadata.mat; the truth is the corners of four hands a frame."""
    rng, truth, entries = np.random.default_rng(2), {}, []
    for video in videos:
        activity, place, viewer, partner = video.split("_")
        labelled = []
        for number in sorted(rng.choice(2700, frames, replace=False).tolist()):
            hands = [hand(rng, size) if rng.random() < 0.8 else np.zeros((0, 0)) for _ in range(4)]
            name = f"_LABELLED_SAMPLES/{video}/frame_{number:04d}.jpg"
            save(root / name, noise(rng, *size))
            truth[name] = hands
            labelled.append({"frame_num": float(number), **dict(zip(HAND_FIELDS, hands, strict=1))})
        (root / "_LABELLED_SAMPLES" / video / "polygons.mat").write_bytes(b"not read")
        entries.append(
            {
                "video_id": video,
                "partner_video_id": f"{activity}_{place}_{partner}_{viewer}",
                "ego_viewer_id": viewer,
                "partner_id": partner,
                "location_id": place,
                "activity_id": activity,
                "labelled_frames": struct_array(labelled, ("frame_num", *HAND_FIELDS)),
            }
        )
    savemat(root / "metadata.mat", {"video": struct_array(entries, tuple(entries[0]))})
    return truth


def nyu(root: Path, size: tuple[int, int] = (24, 32)) -> dict[str, dict[str, np.ndarray]]:
    """Images, floating point TIFFs in metres with holes of 0, masks with 255 for walkable."""
    rng, truth = np.random.default_rng(3), {}
    for split, count in {"train": 5, "test": 3}.items():
        for number in range(count):
            stem = f"{number + 7:04d}"
            save(root / f"{split}/images/{stem}.png", noise(rng, *size))
            metres = rng.uniform(0.5, 9.9, size).astype(np.float32)
            metres[rng.random(size) < 0.1] = 0
            save(root / f"{split}/depths/{stem}.tiff", metres)
            walkable = blocks(rng, size, np.array([0, 255], dtype=np.uint8))
            save(root / f"{split}/walkable/{stem}.png", walkable)
            truth[f"{split}/images/{stem}.png"] = {"depth": metres, "walkable": walkable}
    return truth


def taskonomy(root: Path, size: tuple[int, int] = (16, 16)) -> dict[str, np.ndarray]:
    """rgb and depth_zbuffer by building; the truth is the stored 16-bit numbers."""
    rng, truth = np.random.default_rng(4), {}
    for building in BUILDINGS:
        for number in range(3):
            stem = f"{building}/point_{number}_view_{number + 1}_domain"
            save(root / f"rgb/{stem}_rgb.png", noise(rng, *size))
            stored = rng.integers(1, 5120, size).astype(np.uint16)
            stored[rng.random(size) < 0.1] = 65535
            save(root / f"depth_zbuffer/{stem}_depth_zbuffer.png", stored)
            truth[f"rgb/{stem}_rgb.png"] = stored
    return truth


def thor_depth(root: Path, size: tuple[int, int] = (24, 24)) -> dict[str, np.ndarray]:
    """Frames and grey JPEGs, of one channel or three; the truth is the grey level of each block."""
    rng, truth = np.random.default_rng(5), {}
    for split, count in {"train": 5, "test": 3}.items():
        for number in range(count):
            stem = f"FloorPlan{number + 1}/{number}_"
            save(root / f"{split}/{stem}rgb.jpg", noise(rng, *size))
            # of whole 8 x 8 blocks, which JPEG keeps but for rounding
            grey = np.kron(rng.integers(20, 250, (3, 3)), np.ones((8, 8))).astype(np.uint8)
            grey[:8, :8] = 0
            stored = grey if number % 2 else np.repeat(grey[:, :, None], 3, axis=2)
            save(root / f"{split}/{stem}depth.jpg", stored, quality=100, subsampling=0)
            truth[f"{stem}rgb.jpg" if split == "test" else f"train {stem}rgb.jpg"] = grey
    return truth


def kitti_flow(root: Path, pairs: int = 10) -> dict[str, np.ndarray]:
    """image_2 with both frames and flow_occ in 16-bit PNGs; the truth is [3, h, w]: u, v, valid."""
    rng, truth = np.random.default_rng(6), {}
    for number in range(pairs):
        size = [(37, 124), (36, 122), (38, 124)][number % 3]
        for frame in (10, 11):
            save(root / f"training/image_2/{number:06d}_{frame}.png", noise(rng, *size))
            save(root / f"training/image_3/{number:06d}_{frame}.png", noise(rng, *size))
        flow = np.round(rng.uniform(-60, 60, (2, *size)) * 64) / 64
        valid = rng.random(size) < 0.3
        stored = np.concatenate([flow * 64 + 32768, valid[None]]) * valid
        png = stored[::-1].transpose(1, 2, 0).astype(np.uint16)  # OpenCV writes blue first
        path = root / f"training/flow_occ/{number:06d}_10.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), png)
        truth[f"training/image_2/{number:06d}_10.png"] = np.concatenate([flow, valid[None]])
    return truth
