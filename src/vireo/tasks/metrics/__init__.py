"""Metrics as sums over examples.

Each example leaves a few numbers (its outcome); a metric's value is a function of their sum over
the split. So every test example counts once, batch size changes nothing, the value is exact in
float64, and a bootstrap over examples is one matrix product of draws with outcomes.
"""

from vireo.tasks.metrics.classes import Count, Top1, count_error, macro_accuracy
from vireo.tasks.metrics.flow import FlowInliers
from vireo.tasks.metrics.masks import BinaryIoU, ForegroundIoU, MeanIoU, confusion
from vireo.tasks.metrics.metric import Metric, Outcomes, constant_like, counted
from vireo.tasks.metrics.regression import L1, MeanAbsolute

__all__ = [
    "L1",
    "BinaryIoU",
    "Count",
    "FlowInliers",
    "ForegroundIoU",
    "MeanAbsolute",
    "MeanIoU",
    "Metric",
    "Outcomes",
    "Top1",
    "confusion",
    "constant_like",
    "count_error",
    "counted",
    "macro_accuracy",
]
