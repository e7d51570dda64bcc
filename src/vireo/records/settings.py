"""The settings of the three stages. Required facts have no default; the rest follow the papers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from vireo.records.cards import EncoderSpec
from vireo.records.datasets import DatasetSpec
from vireo.records.subsets import SubsetRecipe
from vireo.records.task import Task

Scoring = Literal["standard", "released"]
MethodOption = str | int | float | bool | tuple[int, ...] | tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """Optimiser and schedule of pre-training; every method has a function giving its paper's.

    Attributes:
        name: "sgd", "adamw", or SGD with layer-wise rates (You et al. 2017): "larc" as SwAV uses
            them, "lars" as BYOL, Barlow Twins and VICReg do.
        bias_learning_rate: of parameters of one dimension (biases and the weights of norms), on
            the same schedule; None means `learning_rate`.
        momentum: AdamW's beta_1; its beta_2 is .999.
        weight_decay_end: the decay goes from `weight_decay` to this along half a cosine, by the
            step; None means that it stays.
        exclude_1d: parameters of one dimension are neither decayed nor given a layer-wise rate.
        schedule: of the learning rate, from `learning_rate` to `final_learning_rate`.
        milestones: shares of the run at which a step schedule multiplies by 0.1.
        schedule_unit: whether the rate changes every step or every epoch, as the method's paper has
            it.
        trust: coefficient of LARC and LARS; .001 in the papers.
    """

    name: Literal["sgd", "larc", "lars", "adamw"] = "sgd"
    learning_rate: float
    final_learning_rate: float = 0.0
    bias_learning_rate: float | None = None
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float
    weight_decay_end: float | None = None
    exclude_1d: bool = False
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    schedule_unit: Literal["step", "epoch"] = "epoch"
    milestones: tuple[float, ...] = ()
    warmup_epochs: float = 0.0
    warmup_learning_rate: float = 0.0
    trust: float = 0.001


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """One pre-training run. Its digest names the run.

    Attributes:
        data: a dataset's name or spec, or a part of one that is drawn when the run begins; of each
            the split "train" is used.
        options: settings of the method that differ from its paper's (queue_size, temperature, ...).
        optimizer: None means the method's published one, scaled to the batch size by its paper's
            rule.
        image_size: side of the full-resolution views; crops of other sizes follow from the method.
        engine: of the views: "torch" (batched, on the device) or "opencv" (in loader workers);
            "auto" takes torch on a GPU and opencv on a CPU.
        accumulate: parts of each process's share of a batch whose gradients are added up; batch
            norm sees a part at a time. Refused where the loss of a batch is not its parts'.
    """

    method: str
    architecture: str
    data: str | DatasetSpec | SubsetRecipe
    epochs: int
    batch_size: int
    image_size: int
    options: Mapping[str, MethodOption] = field(default_factory=dict)
    optimizer: OptimizerSettings | None = None
    engine: Literal["auto", "torch", "opencv"] = "auto"
    seed: int = 0
    accumulate: int = 1


@dataclass(frozen=True, kw_only=True)
class HeadOptimizer:
    """An optimiser of heads at a constant rate: one of the sets that "reference" tries.

    Attributes:
        optimizer: "adam", or "sgd" with momentum .9; neither decays weights.
    """

    optimizer: Literal["adam", "sgd"]
    learning_rate: float


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """How a frozen encoder is asked, and how the reported score is chosen.

    A row's identity covers the fields that its protocol uses, and no others.

    Attributes:
        protocol: "paper": published hyper-parameters, last epoch, all training examples. "tuned":
            learning rate and weight decay chosen on a validation split, per encoder. "reference":
            `sets` tried on one encoder, the best on validation used for all (the study's Appendix
            C). "knn": nearest training examples vote, nothing is trained. "few-shot": heads trained
            on few examples of every class, drawn several times. "fine-tune": the encoder is trained
            with the head.
        scoring: "standard", or "released" (the study's released code's rules).
        seeds: one head and one result row each.
        learning_rates, weight_decays: the grid of "tuned" and "few-shot", as factors of the task's
            rate and as values.
        validation: share carved from train where the dataset has no split "val".
        sets: of "reference". The released configurations train at 1e-4, the text at 3e-4; the
            others are in the released grid searches.
        reference: name of the study's encoder that chooses among `sets`.
        chosen: the set it chose; None where an encoder chooses for itself. A study fills it in.
        neighbours, temperature: of "knn": k, cut to the training examples there are, and T of the
            votes exp(s / T).
        shots: of "few-shot": examples drawn from every class.
        draws: of "few-shot": how often, each with a head of its own.
        encoder_rate: of "fine-tune": the encoder's learning rate, as a factor of the head's, which
            is the task's.
        resamples: bootstrap draws over test examples for the interval; level: its coverage. The
            interval of "few-shot" is over draws.
    """

    protocol: Literal["paper", "tuned", "reference", "knn", "few-shot", "fine-tune"] = "tuned"
    scoring: Scoring = "standard"
    seeds: tuple[int, ...] = (0,)
    learning_rates: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
    weight_decays: tuple[float, ...] = (0.0, 1e-4, 1e-2)
    validation: float = 0.2
    sets: tuple[HeadOptimizer, ...] = (
        HeadOptimizer(optimizer="adam", learning_rate=1e-4),
        HeadOptimizer(optimizer="adam", learning_rate=3e-4),
        HeadOptimizer(optimizer="adam", learning_rate=1e-3),
        HeadOptimizer(optimizer="sgd", learning_rate=1e-2),
    )
    reference: str = ""
    chosen: HeadOptimizer | None = None
    neighbours: int = 20
    temperature: float = 0.07
    shots: int = 5
    draws: int = 10
    encoder_rate: float = 0.1
    resamples: int = 1000
    level: float = 0.95


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """A grid: encoders (opened or pre-trained here) times tasks.

    Attributes:
        pretrain: encoder name to the run that makes it.
        baseline: name of the encoder that normalised scores are relative to; empty means no
            normalisation.
    """

    name: str
    summary: str
    tasks: tuple[Task, ...]
    encoders: tuple[EncoderSpec, ...] = ()
    pretrain: Mapping[str, PretrainSettings] = field(default_factory=dict)
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    baseline: str = ""
