"""Image-level datasets in miniature: few and small files, in the layout that is published.

Each maker writes below a folder, by other tools than those that read it back, and returns what it
wrote: split, to the name that a reader should give each example, to its class, count or label.
"""

import hashlib
import json
import pickle
import zlib
from pathlib import Path

import av
import numpy as np
from PIL import Image

Written = dict[str, dict[str, object]]

WNIDS = ("n01440764", "n01443537", "n01484850")
ACTIONS = ("MoveAhead", "RotateLeft", "RotateRight", "LookUp", "LookDown")
MOVES = ("forward", "forward-left", "forward-right", "none")
LAND = ("AnnualCrop", "Forest", "SeaLake")
SCENES = ("/a/abbey", "/a/apse/indoor", "/b/badlands")
CLIPS = ("-3_x1yz_b2c", "a_c0_e2_g4i", "abcdefghijk", "zyxwvutsrqp")


def picture(name: str, size: tuple[int, int] = (12, 16)) -> np.ndarray:
    """Smooth colours of a file of this name: JPEG keeps them, and no two names look alike."""
    draw = np.random.default_rng(zlib.crc32(name.encode()))
    coarse = draw.integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BILINEAR))


def save(root: Path, name: str, size: tuple[int, int] = (12, 16)) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(name, size)).save(
        path, format="PNG" if name.endswith("png") else "JPEG"
    )


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def imagenet(root: Path) -> Written:
    written: Written = {"train": {}, "test": {}}
    for code, wnid in enumerate(WNIDS):
        for number in range(4):
            name = f"train/{wnid}/{wnid}_{number}.JPEG"
            written["train"][name.removeprefix("train/")] = code
            save(root, name)
        name = f"val/{wnid}/ILSVRC2012_val_{code:08d}.JPEG"
        written["test"][name.removeprefix("val/")] = code
        save(root, name)
    return written


def imagenet_v2(root: Path) -> Written:
    found: Written = {"test": {}}
    for code in (0, 2, 10):
        found["test"][f"{code}/{code:03d}f.jpeg"] = code
        save(root, f"imagenetv2-matched-frequency-format-val/{code}/{code:03d}f.jpeg")
    return found


def pets(root: Path) -> Written:
    """Images, lists and trimaps; the list's fourth column is the breed among cats or dogs."""
    written: Written = {"train": {}, "test": {}}
    base = "oxford-iiit-pet"
    for part, split in (("trainval", "train"), ("test", "test")):
        lines = []
        for code, breed in enumerate(("Abyssinian", "american_bulldog", "Bengal")):
            for number in range(3):
                stem = f"{breed}_{number + (100 if split == 'test' else 1)}"
                lines.append(f"{stem} {code + 1} {1 + breed[0].islower()} 1")
                save(root, f"{base}/images/{stem}.jpg")
                written[split][f"{base}/images/{stem}.jpg"] = code
                trimap = np.full((12, 16), 2, dtype=np.uint8)
                trimap[2:9, 3:12], trimap[3:8, 4:11] = 3, 1
                path = root / f"{base}/annotations/trimaps/{stem}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(trimap).save(path)
        write(root, f"{base}/annotations/{part}.txt", "\n".join(lines) + "\n")
    return written


def caltech_101(root: Path) -> Written:
    """Two classes and the background, 32 images each; the reader cuts them, so they are "all"."""
    written: Written = {"all": {}}
    for code, name in enumerate(("BACKGROUND_Google", "Faces", "accordion")):
        for number in range(1, 33):
            file = f"{name}/image_{number:04d}.jpg"
            save(root, f"caltech101/101_ObjectCategories/{file}", (6, 8))
            written["all"][file] = code
    return written


def cifar_100(root: Path) -> Written:
    """The pickles of the archive; their checksums have to be put into torchvision's class."""
    written: Written = {"train": {}, "test": {}}
    folder = root / "cifar-100-python"
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"thing {code}" for code in range(100)]
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": names}))
    for split, count in (("train", 12), ("test", 6)):
        labels = [(7 * place) % 100 for place in range(count)]
        images = [picture(f"{split}{place}", (32, 32)) for place in range(count)]
        rows = np.stack([image.transpose(2, 0, 1).ravel() for image in images])
        values = {"data": rows, "fine_labels": labels, "coarse_labels": labels}
        (folder / split).write_bytes(pickle.dumps(values))
        written[split] = {f"image {place}": label for place, label in enumerate(labels)}
    return written


def checksum(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def trust_cifar_100(monkeypatch, root: Path) -> None:
    """Put the checksums of the miniature in the place of the published ones."""
    from torchvision.datasets import CIFAR100

    sums = {name: checksum(root / "cifar-100-python" / name) for name in ("train", "test", "meta")}
    monkeypatch.setattr(CIFAR100, "train_list", [["train", sums["train"]]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", sums["test"]]])
    monkeypatch.setattr(CIFAR100, "meta", {**CIFAR100.meta, "md5": sums["meta"]})


def sun397(root: Path) -> Written:
    """All in one: the split is cut by the reader."""
    written: Written = {"all": {}}
    for code, scene in enumerate(SCENES):
        for number in range(5):
            name = f"SUN397{scene}/sun_{scene[-1]}{number}xyz.jpg"
            save(root, name)
            written["all"][name] = code
    write(root, "SUN397/ClassName.txt", "".join(f"{scene}\n" for scene in SCENES))
    return written


def eurosat(root: Path) -> Written:
    """All in one: the split is cut by the reader."""
    written: Written = {"all": {}}
    for code, land in enumerate(LAND):
        for number in range(1, 6):
            name = f"eurosat/2750/{land}/{land}_{number}.jpg"
            save(root, name, (64, 64))
            written["all"][name] = code
    return written


def dtd(root: Path) -> Written:
    written: Written = {"train": {}, "test": {}}
    for part in ("train", "val", "test"):
        lines = []
        for code, word in enumerate(("banded", "blotchy", "braided")):
            for number in range(2):
                line = f"{word}/{word}_{'train val test'.index(part):02d}{number}.jpg"
                lines.append(line)
                save(root, f"dtd/dtd/images/{line}")
                written["test" if part == "test" else "train"][f"dtd/dtd/images/{line}"] = code
        for partition in (1, 2):
            kept = lines if partition == 1 else lines[::-1][:3]
            write(root, f"dtd/dtd/labels/{part}{partition}.txt", "\n".join(kept) + "\n")
    return written


def kinetics_videos(root: Path) -> Written:
    """Videos in class folders, as torchvision has them: 24 frames, frame i of brightness 10 * i."""
    written: Written = {"train": {}, "test": {}}
    for part, split, count in (("train", "train", 2), ("val", "test", 1)):
        for action in ("abseiling", "air_drumming"):
            for number in range(count):
                name = f"{part}/{action}/{action[:3]}{number}_000001_000011.mp4"
                video(root / name, 24)
                written[split][name] = action.replace("_", " ")
    return written


def video(path: Path, frames: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for number in range(frames):
            grey = np.full((16, 32, 3), 10 * number, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())


def kinetics_frames(root: Path) -> Written:
    """Frames in files and the publisher's lists. The last clip has too few frames to be used."""
    written: Written = {"train": {}, "test": {}}
    for part, split in (("train", "train"), ("validate", "test")):
        listed = {}
        for place, clip in enumerate(CLIPS):
            label = ("yoga", "abseiling")[place % 2]
            listed[clip] = {
                "annotations": {"label": label, "segment": [0.0, 10.0]},
                "duration": 10.0,
                "subset": part,
                "url": f"https://www.youtube.com/watch?v={clip}",
            }
            frames = 5 if place == 3 else 12
            for number in range(1, frames + 1):
                save(root, f"{part}/{clip[:2]}/{clip}_{number}.jpg")
            if frames >= 6:
                written[split][f"{part}/{clip[:2]}/{clip}_2.jpg"] = label
        write(root, f"annotations/{part}.json", json.dumps(listed))
    return written


def clevr_count(root: Path) -> Written:
    written: Written = {"train": {}, "test": {}}
    base = "clevr/CLEVR_v1.0"
    for part, split, count in (("train", "train", 8), ("val", "test", 4)):
        scenes = []
        for number in range(count):
            name, objects = f"CLEVR_{part}_{number:06d}.png", 3 + (5 * number) % 8
            save(root, f"{base}/images/{part}/{name}")
            scenes.append({"image_filename": name, "objects": [{"shape": "cube"}] * objects})
            written[split][f"{base}/images/{part}/{name}"] = objects
        document = {"info": {"split": part}, "scenes": scenes[::-1]}
        write(root, f"{base}/scenes/CLEVR_{part}_scenes.json", json.dumps(document))
    return written


def thor_num_steps(root: Path) -> Written:
    """The list has a line more than there are images, in another order, as archives do."""
    written: Written = {"train": {}, "test": {}}
    for part, split, count in (("train", "train", 10), ("val", "test", 5)):
        lines = [f"{part}/FloorPlan9/0000 4"]
        for number in range(count):
            stem = f"{part}/FloorPlan{number % 2 + 1}/{number:04d}"
            save(root, f"{stem}_rgb.jpg")
            lines.insert(0, f"{stem} {number % 5}")
            written[split][f"{stem}_rgb.jpg"] = number % 5
        write(root, f"{part}_labels.txt", "\n".join(lines) + "\n")
    return written


def thor_egomotion(root: Path) -> Written:
    written: Written = {"train": {}, "test": {}}
    for part, split, count in (("train", "train", 10), ("val", "test", 5)):
        lines = []
        for number in range(count):
            stem = f"{part}/FloorPlan{number % 2 + 1}/{number:04d}"
            save(root, f"{stem}_rgb_a.jpg")
            save(root, f"{stem}_rgb_b.jpg")
            lines.append(f"{stem} {ACTIONS[number % 5]}")
            written[split][f"{stem}_rgb_a.jpg"] = number % 5
        write(root, f"{part}_labels.txt", "\n".join(lines) + "\n")
    return written


def nuscenes_egomotion(root: Path) -> Written:
    written: Written = {"train": {}, "test": {}}
    for split, count in (("train", 8), ("test", 4)):
        pairs = []
        for number in range(count):
            first = f"samples/CAM_FRONT/{split}-{number:03d}__CAM_FRONT__a.jpg"
            second = f"sweeps/CAM_FRONT/{split}-{number:03d}__CAM_FRONT__b.jpg"
            save(root, first)
            save(root, second)
            pairs.append({"img_a": first, "img_b": second, "label": MOVES[number % 4]})
            written[split][first] = number % 4
        write(root, f"nuScenes_{split}.json", json.dumps(pairs))
    return written


MAKERS = {
    "imagenet": imagenet,
    "imagenet-v2": imagenet_v2,
    "pets": pets,
    "caltech-101": caltech_101,
    "cifar-100": cifar_100,
    "sun397": sun397,
    "eurosat": eurosat,
    "dtd": dtd,
    "kinetics-action": kinetics_videos,
    "clevr-count": clevr_count,
    "thor-num-steps": thor_num_steps,
    "thor-egomotion": thor_egomotion,
    "nuscenes-egomotion": nuscenes_egomotion,
}
