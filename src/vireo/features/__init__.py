"""Images through a frozen encoder, and what is computed on features alone."""

from vireo.features.encode import encode
from vireo.features.forward import extract
from vireo.features.neighbours import knn_accuracy, knn_predict
from vireo.features.rank import effective_rank, feature_std

__all__ = ["effective_rank", "encode", "extract", "feature_std", "knn_accuracy", "knn_predict"]
