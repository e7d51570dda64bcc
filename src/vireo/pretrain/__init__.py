"""What to learn, run: a loop that resumes exactly, its optimisers, checkpoints and monitors."""

from vireo.pretrain.running import pretrain

__all__ = ["pretrain"]
