"""How many views a second do the two engines make, and how many does torchvision?

What: MoCo v2's two views (crop, jitter, grayscale, blur, mirror, normalise) of photographs-like
    images already decoded in memory: 224-pixel views of 400x500 images, and 32-pixel views (no
    blur) of 32x32 images. Parameters are drawn inside the timed part. Contenders: the torch engine
    (a batch at once), the OpenCV engine (an image at a time, its first half being what a loader
    worker does), torchvision v2 an image at a time on Pillow images and on 8-bit tensors. One
    thread each, so the CPU figures are per core. With a GPU the torch engine runs there as well,
    from images in page-locked memory.
How: rounds interleave the contenders, so that a busy machine disturbs all alike; one warm-up round;
    the median of n rounds, by CPU time (a GPU: wall time to the end of the last kernel).
Run: OMP_NUM_THREADS=1 python benchmarks/views.py        (writes benchmarks/results/views.json)
Hardware: one core of an AMD EPYC (AVX-512) with 2, nothing else running; no GPU.
Versions: Python 3.11.7, torch 2.14.1, torchvision 0.29.1, OpenCV 5.0.0, Pillow 13.0.0.
Result (n = 5, views per second of CPU time, slowest to fastest):

                              224 px of 400x500       32 px of 32x32
    torch engine                180  (153-182)     22461 (22243-23968)
    OpenCV engine               977  (672-1020)    16117 (13176-16841)
    torchvision, Pillow         212  (151-276)      3168  (2581-3271)
    torchvision, tensors        212  (192-221)      2436  (2255-2452)

On a CPU the OpenCV engine is the one to use at 224 pixels: 4.6 times as fast as torchvision, while
the torch engine is slower than it. At 32 pixels the cost is calls, not pixels, and the torch engine
leads by 39 %. Nothing is claimed for a GPU: none was here.
"""

import json
import os
import platform
import time
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import nn
from torchvision.transforms import v2

from vireo.data.views.draws import draw_views
from vireo.data.views.engine import image_sizes
from vireo.data.views.opencv_engine import OpenCVEngine
from vireo.data.views.published import IMAGENET_MEAN, IMAGENET_STD, two_crops
from vireo.data.views.torch_engine import TorchEngine

NUM_ROUNDS = 5
SETTINGS = {
    "224 px views of 400x500": {"side": 224, "size": (400, 500), "num_images": 32},
    "32 px views of 32x32": {"side": 32, "size": (32, 32), "num_images": 256},
}
RESULTS = Path(__file__).parent / "results" / "views.json"


class PillowBlur(nn.Module):
    """The blur of MoCo v2's release."""

    def forward(self, image):
        """Return the blurred Pillow image."""
        sigma = float(torch.empty(1).uniform_(0.1, 2.0))
        return image.filter(ImageFilter.GaussianBlur(radius=sigma))


def make_images(num_images, height, width):
    rng = np.random.default_rng(0)
    images = []
    for _ in range(num_images):
        coarse = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
        image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        images.append(np.clip(image + rng.normal(0, 8, image.shape), 0, 255).astype(np.uint8))
    return images


def engine(kind, side, images, device):
    recipe = two_crops(side)
    maker, sizes = kind(recipe), image_sizes(images)

    def make():
        draws = draw_views(recipe, range(len(images)), sizes, seed_digest="bench", epoch=0)
        prepared = maker.prepare(images, draws)
        if device.type == "cuda":
            maker.finish(prepared.pin_memory(), device)
            torch.cuda.synchronize()
        else:
            maker.finish(prepared, device)

    return make


def per_image(side, images, blur):
    steps = [
        v2.RandomResizedCrop(side, scale=(0.2, 1.0), antialias=True),
        v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
        v2.RandomGrayscale(p=0.2),
        *([v2.RandomApply([blur], p=0.5)] if side >= 96 else []),
        v2.RandomHorizontalFlip(),
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(IMAGENET_MEAN, IMAGENET_STD),
    ]
    transform = v2.Compose(steps)

    def make():
        for _ in range(2):
            torch.stack([transform(image) for image in images])

    return make


def contenders(side, size, num_images):
    images, cpu = make_images(num_images, *size), torch.device("cpu")
    tensors = [torch.from_numpy(image).permute(2, 0, 1).contiguous() for image in images]
    pillow = [Image.fromarray(image) for image in images]
    named = {
        "torch engine": engine(TorchEngine, side, images, cpu),
        "opencv engine": engine(OpenCVEngine, side, images, cpu),
        "torchvision, Pillow": per_image(side, pillow, PillowBlur()),
        "torchvision, tensors": per_image(side, tensors, v2.GaussianBlur(13, (0.1, 2.0))),
    }
    if torch.cuda.is_available():
        named["torch engine, GPU"] = engine(TorchEngine, side, images * 8, torch.device("cuda"))
    return named


def measure(named, num_images):
    seconds = {name: [] for name in named}
    for round_number in range(NUM_ROUNDS + 1):
        for name, make in named.items():
            clock = time.perf_counter if name.endswith("GPU") else time.process_time
            start = clock()
            make()
            if round_number > 0:
                seconds[name].append(clock() - start)
    rates = {}
    for name, taken in seconds.items():
        num_views = 2 * num_images * (8 if name.endswith("GPU") else 1)
        rates[name] = {
            "views_per_second": round(num_views / float(np.median(taken))),
            "slowest": round(num_views / max(taken)),
            "fastest": round(num_views / min(taken)),
        }
    return rates


def hardware():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if os.name == "posix" else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "cpu": models[0] if models else platform.processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "gpu": gpu,
        "load": round(os.getloadavg()[0], 1),
    }


def main():
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    libraries = ("torch", "torchvision", "numpy", "pillow")
    report = {
        "hardware": hardware(),
        "versions": {name: metadata.version(name) for name in libraries}
        | {"cv2": cv2.__version__, "python": platform.python_version()},
        "num_rounds": NUM_ROUNDS,
        "results": {},
    }
    for title, setting in SETTINGS.items():
        rates = measure(contenders(**setting), setting["num_images"])
        report["results"][title] = rates
        for name, rate in rates.items():
            span = f"({rate['slowest']} to {rate['fastest']})"
            print(f"{title}: {name:22s} {rate['views_per_second']:7d} views/s {span}")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
