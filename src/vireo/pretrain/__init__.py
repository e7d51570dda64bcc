"""What to learn, run: a loop that resumes exactly, its optimisers, checkpoints and monitors.

The loop is imported when it is first asked for, so that recipes can be read without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vireo.pretrain.running import pretrain

__all__ = ["pretrain"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from vireo.pretrain import running

        return getattr(running, name)
    raise AttributeError(f"module 'vireo.pretrain' has no attribute '{name}'")
