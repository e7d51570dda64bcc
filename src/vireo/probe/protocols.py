"""The protocols: how a frozen encoder is asked, what each reads of the settings, what answers.

A protocol is one entry here. Its answers come from one function for image-level tasks and one for
dense ones, `(frozen, examples, seeds, digest) -> list[Answered]`, named by a string and imported
when it is used.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from vireo.catalog import resolve, unknown
from vireo.digest import digest
from vireo.errors import SettingError
from vireo.records import ProbeSettings, Task
from vireo.tasks.checks import head_of

Answering = Callable[..., list[Any]]
"""`(frozen, examples, seeds, digest)` to the answers of all seeds, in their order.

The encoder is at work (`Frozen`), the data are open (`Examples`). One seed's answer does not depend
on the others. The digest seeds, with the seed, whatever is drawn: first weights, batch order,
shots, places, colours. A head that does not end with finite weights is a `TrainingError`.
"""

_INTERVAL = ("resamples", "level")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One way of asking.

    Attributes:
        images, pixels: `"package.module:function"` that answers image-level and dense tasks, or a
            sentence that says why there is none.
        uses: the fields of `ProbeSettings` that decide its numbers.
        validates: whether a part of the training data is kept for selection, or the split "val".
        trains: whether heads are trained, by the task's epochs and batch size.
        facts: of its training, for the row; what an answer has chosen is put over them.
        mistakes: `"package.module:function"` from task and settings to sentences about what cannot
            work; empty where there is nothing to check.
        lacks: `"package.module:function"` of task, settings and examples, that raises where the
            examples do not suffice; or empty.
    """

    images: str
    pixels: str
    uses: tuple[str, ...]
    validates: bool = False
    trains: bool = True
    facts: tuple[tuple[str, str], ...] = ()
    mistakes: str = ""
    lacks: str = ""


_IMAGES = "vireo.probe.image_level:answer_images"
_PIXELS = "vireo.probe.pixel_level:answer_pixels"

PROTOCOLS = {
    "paper": Protocol(
        images=_IMAGES,
        pixels=_PIXELS,
        uses=_INTERVAL,
        facts=(("optimizer", "adam"), ("schedule", "constant")),
    ),
    "tuned": Protocol(
        images=_IMAGES,
        pixels=_PIXELS,
        uses=("learning_rates", "weight_decays", "validation", *_INTERVAL),
        validates=True,
        facts=(("optimizer", "adamw"), ("schedule", "cosine")),
    ),
    "reference": Protocol(
        images=_IMAGES,
        pixels=_PIXELS,
        uses=("sets", "chosen", "validation", *_INTERVAL),
        validates=True,
        facts=(("schedule", "constant"),),
    ),
    "knn": Protocol(
        images="vireo.probe.nearest:answer_nearest",
        pixels="an image has one feature to compare, and its pixels have none",
        uses=("neighbours", "temperature", *_INTERVAL),
        trains=False,
        mistakes="vireo.probe.nearest:mistakes",
    ),
    "few-shot": Protocol(
        images="vireo.probe.few_shot:answer_few_shot",
        pixels="shots are drawn by the class of an image, and its pixels have many",
        uses=("shots", "draws", "learning_rates", "weight_decays", "level"),
        facts=(("optimizer", "adamw"), ("schedule", "cosine")),
        mistakes="vireo.probe.few_shot:mistakes",
        lacks="vireo.probe.few_shot:check_classes",
    ),
    "fine-tune": Protocol(
        images="vireo.probe.finetune:answer_finetuned",
        pixels="vireo.probe.finetune:answer_finetuned",
        uses=("encoder_rate", *_INTERVAL),
        facts=(("optimizer", "adam"), ("schedule", "cosine")),
        mistakes="vireo.probe.finetune:mistakes",
    ),
}


def protocol_of(settings: ProbeSettings) -> Protocol:
    """Return the protocol that settings name.

    Raises:
        SettingError: there is none of that name.
    """
    if settings.protocol not in PROTOCOLS:
        raise SettingError(unknown(settings.protocol, PROTOCOLS, "protocol"))
    return PROTOCOLS[settings.protocol]


def protocol_digest(settings: ProbeSettings) -> str:
    """Return the identity of a protocol: its name and the fields that decide its numbers."""
    facts = {name: getattr(settings, name) for name in protocol_of(settings).uses}
    return digest(settings.protocol, facts)


def answering(task: Task, settings: ProbeSettings) -> Answering:
    """Return the function that answers a task under its protocol.

    Raises:
        SettingError: the protocol has none for such tasks.
    """
    protocol = protocol_of(settings)
    name = protocol.pixels if head_of(task).dense else protocol.images
    if ":" not in name:
        level = "dense" if head_of(task).dense else "image-level"
        raise SettingError(
            f"The protocol '{settings.protocol}' is not for {level} tasks as '{task.name}': {name}."
        )
    found: Answering = resolve({}, name, "protocol")
    return found
