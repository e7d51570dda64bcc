"""Does each method learn? Frozen kNN after a few minutes of pre-training, before it, and of pixels.

What: every method's recipe for small images on ResNet-20, cut to a few minutes; then kNN (k 20 and
    200, temperature .1; all training images vote) on the test split: the trained network, the same
    network with its initial weights, and the pixels minus a half as unit vectors.
Run: VIREO_DATA=../shared/data python benchmarks/learns.py --runs moco-v2:3:0 swav:3:0
    A run is pixels, random or METHOD:EPOCHS:SEED[:CHANGES]; changes are key=value of the method,
    @key=value of the optimiser, --option=value of the command, with semicolons between.
    Runs that are finished are not made again; one line a run is added to results/learns.jsonl.
Hardware, versions, n: in every line.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from vireo import devices
from vireo.data import load_batches, open_split
from vireo.data.opening import find_dataset
from vireo.encoders import open_encoder
from vireo.features import knn_accuracy
from vireo.features.forward import run as run_encoder
from vireo.records import EncoderSpec

ARCHITECTURE, SIZE = "resnet20", (32, 32)
DATA = {
    "cifar10": "parquet:{root}/cifar10",
    "tiny-imagenet-100": "webdataset:{root}/tiny-imagenet-100",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=DATA, default="cifar10")
    parser.add_argument("--subset", type=Path, help="learn from this part of the images alone")
    parser.add_argument("--runs", nargs="+", default=[])
    parser.add_argument("--draw", type=Path, help="draw the curves of all lines of --out here")
    parser.add_argument("--folder", type=Path, default=Path("runs/learns"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/learns.jsonl"))
    options = parser.parse_args()
    for run in options.runs:
        print(json.dumps(one(run, options)), flush=True)
    if options.draw:
        draw(options.out, options.draw)


def one(run: str, options: argparse.Namespace) -> dict:
    """Pre-train in a process of its own, judge the encoder, and note the line."""
    data = DATA[options.data].format(root=os.environ["VIREO_DATA"])
    line: dict = {"data": options.data, "run": run, "torch": torch.__version__}
    learnt = data if options.subset is None else f"subset:{options.subset}"
    name = options.data if options.subset is None else f"{options.data}-{options.subset.name}"
    spec = f"run:{options.folder / name}-{run}"
    if run in ("pixels", "random"):
        spec = {"pixels": "pixels", "random": f"random:{ARCHITECTURE}"}[run]
    else:
        line |= pretrained(run, learnt, Path(spec.removeprefix("run:")))
    if not line.get("failed"):
        line |= knn(spec, data)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("a") as out:
        out.write(json.dumps(line) + "\n")
    return line


def pretrained(run: str, data: str, folder: Path) -> dict:
    """Pre-train, or do nothing where it is done; return what it took."""
    method, epochs, seed, *more = run.split(":", 3)
    command = ["-m", "vireo", "pretrain", method, "--recipe", "small", "--data", data]
    command += ["--out", str(folder), "--architecture", ARCHITECTURE, "--epochs", epochs]
    command += ["--seed", seed, "--threads", "1"]
    for change in more[0].split(";") if more else ():
        command += flags(change)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "said.txt").open("w") as said:
        done = subprocess.run([sys.executable, *command], stdout=said, stderr=said, check=False)
    found = {"command": " ".join(command), "failed": done.returncode}
    with contextlib.suppress(OSError):
        found["cost"] = json.loads((folder / "cost.json").read_text())
        found["curve"] = curve(folder / "metrics.jsonl")
    return found


def curve(metrics: Path) -> list[tuple[int, float]]:
    """Return (steps, kNN on held-out training images) where `--knn-every` asked for it."""
    judged = [line for line in map(json.loads, metrics.read_text().splitlines()) if "knn" in line]
    return [(line["step"], line["knn"]) for line in judged]


def draw(results: Path, picture: Path) -> None:
    """Draw kNN while methods learn, and the lines of pixels and of random weights."""
    import matplotlib.pyplot as plt

    lines = [json.loads(line) for line in results.read_text().splitlines()]
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for line in lines:
        if line["run"] in ("pixels", "random"):
            axes.axhline(line["knn_20"], color="grey", linestyle=":")
            axes.annotate(line["run"], (0, line["knn_20"]), va="bottom")
        elif line.get("curve"):
            steps, scores = zip(*line["curve"], strict=True)
            axes.plot(steps, scores, marker="o", label=line["run"].split(":")[0])
    axes.set(xlabel="steps", ylabel="kNN, k 20", xlim=(0, None))
    axes.legend(frameon=False)
    figure.savefig(picture, dpi=120)


def flags(change: str) -> list[str]:
    if change.startswith("--"):
        return [change]
    return ["--optimizer", change[1:]] if change.startswith("@") else ["--set", change]


def knn(spec: str, data: str) -> dict[str, float]:
    """Return the share of test images that k neighbours classify correctly, for two k."""
    held_out = "test" if "test" in find_dataset(data).splits else "val"
    encoder = None if spec == "pixels" else open_encoder(EncoderSpec(spec=spec, input_size=SIZE))
    bank, queries = (features(encoder, data, split) for split in ("train", held_out))
    return {f"knn_{k}": knn_accuracy(*bank, *queries, k=k) for k in (20, 200)}


def features(encoder, data: str, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return pooled features, or pixels where there is no encoder, and labels."""
    source = open_split(find_dataset(data), split)
    batches = load_batches(source, size=SIZE, target="class", batch_size=256, workers=0)
    if encoder is None:
        pixels, labels = [], []
        for batch in batches:
            pixels.append(batch.images.flatten(1).float() / 255 - 0.5)
            labels.append(batch.target)
        return torch.cat(pixels).numpy(), torch.cat(labels).numpy()
    labels = [source.target(index, "class") for index in range(len(source))]
    compute = devices.choose("cpu", threads=1)
    found = [out["pooled"][:, 0] for out in run_encoder(encoder, batches, ("pooled",), compute)]
    return np.concatenate(found), np.array(labels)


if __name__ == "__main__":
    main()
