"""Loader workers: processes that decode, forked from this one, and gone when their work is left."""

import contextlib
import functools
import multiprocessing
import signal
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from vireo.errors import DataError

Item = TypeVar("Item")
_STOPPING = (signal.SIGINT, signal.SIGTERM)


def _nothing() -> None:
    pass


def load_items(
    items: Dataset[Item],
    order: Sequence[Any],
    *,
    workers: int,
    start_worker: Callable[[], None] = _nothing,
    pin_memory: bool = False,
) -> Generator[Item, None, None]:
    """Yield `items[key]` for each key of `order`, computed by `workers` processes; 0 means here.

    Close it (`contextlib.closing`) where its items are errors to raise: a traceback keeps a loader
    in a cycle, and the collector of cycles may end its queues before it; then the workers wait for
    ever, and Python at exit for them.

    What this process has read when the first item is asked for is shared with the workers by the
    fork.

    Args:
        items: must use one thread and no GPU. An error should be an item: one that is raised in a
            worker arrives with a traceback.
        order: of the keys.
        workers: how many.
        start_worker: called once in each.
        pin_memory: copy items to page-locked memory by their `pin_memory`.

    Raises:
        DataError: a worker died.
    """
    fork = workers > 0 and "fork" in multiprocessing.get_all_start_methods()
    loader = DataLoader(
        items,
        batch_size=None,
        sampler=order,
        num_workers=workers,
        collate_fn=_as_it_is,
        worker_init_fn=functools.partial(_start, start_worker) if workers else None,
        multiprocessing_context="fork" if fork else None,
        pin_memory=pin_memory,
        # a loader without a generator of its own draws from torch's global state
        generator=torch.Generator(),
    )
    with warnings.catch_warnings(), _signals_wait():
        # Python 3.12 warns of a fork where threads run; workers use none of them and no GPU
        warnings.filterwarnings("ignore", ".*fork", DeprecationWarning)
        iterator = iter(loader)
    try:
        yield from iterator
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise DataError(
            f"A loader worker died ({str(error).splitlines()[0]}); free memory or /dev/shm, or use "
            "fewer workers."
        ) from error
    finally:
        # Workers end with the last reference to their iterator. Left to a traceback's cycle, that
        # is when the garbage collector runs, and takes five seconds.
        del iterator


def _start(start_worker: Callable[[], None], _number: int) -> None:
    # Ctrl-C, and `timeout` or a scheduler's SIGTERM, reach every process of the group. The main one
    # finishes its step and ends its workers; a worker that dies first would break the step.
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
    start_worker()


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Hold back the stopping signals: a worker forked here is born deaf to them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _as_it_is(item: Any) -> Any:
    return item
