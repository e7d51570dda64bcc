"""What rows of the zoo have in common."""

from typing import Any

from vireo.encoders.zoo.sizes import SIZES
from vireo.records import PublishedEncoder

IMAGENET = {"pretraining_set": "imagenet", "images": 1_281_167, "balance": "balanced"}
FACEBOOK = "https://dl.fbaipublicfiles.com"
NON_COMMERCIAL = "CC-BY-NC-4.0"
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def row(name: str, architecture: str, **facts: Any) -> PublishedEncoder:
    """Return a row of the zoo; it saw ImageNet, and is normalised so, unless `facts` differ."""
    size = SIZES[architecture]
    common: dict[str, Any] = {
        **IMAGENET,
        "parameters": size.parameters,
        "flops": size.flops,
        "input_size": (size.side, size.side),
        "mean": _MEAN,
        "std": _STD,
    }
    address = facts.get("address", "")
    if address.startswith("http"):
        common["file"] = address.rpartition("/")[2]
    epochs = facts.pop("epochs", None)
    return PublishedEncoder(
        name=name,
        architecture=architecture,
        epochs=None if epochs is None else float(epochs),
        **{**common, **facts},
    )


def arxiv(number: str) -> str:
    """Return a paper's address."""
    return f"https://arxiv.org/abs/{number}"
