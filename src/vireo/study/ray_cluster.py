"""A Ray cluster: the one at an address, or one that is started here for as long as it is needed."""

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from typing import Any

from vireo.console import warn
from vireo.devices import usable_cores
from vireo.errors import MissingExtraError, StoreError

STARTS = 3
"""How often a cluster is started before giving up. Ray's own processes have 15 seconds to come up,
which a busy machine exceeds."""
KNOCK_SECONDS = 10.0
"""How long a running cluster may take to answer at its address."""
STORE_BYTES = 80 << 20
"""Ray's shared memory: only records pass through it."""


@contextlib.contextmanager
def connected(address: str, cores: int | None = None) -> Iterator[Any]:
    """Give Ray, connected to a cluster; one that the caller is connected to is taken as it is.

    Args:
        address: of a running one; empty to start one here.
        cores: of the one that is started; None for those of this process.
    """
    ray = _library(local=not address)
    if ray.is_initialized():
        yield ray
        return
    try:
        _connect(ray, address, cores or usable_cores())
        yield ray
    finally:
        ray.shutdown()


def _library(local: bool) -> Any:
    """Import Ray with settings for a study; what the environment sets already stays."""
    settings = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    if local and "RAY_AUTH_MODE" not in os.environ:
        # only this process and its workers know the token; Ray's own would stay in the home folder
        settings |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "The engine 'ray' needs the library 'ray'. Run: pip install 'vireo[ray]', or take"
            " --engine serial."
        ) from error
    return ray


def _knock(address: str) -> None:
    """Connect to `host:port` for a moment: where nobody answers, Ray itself tries for minutes.

    Raises:
        OSError: nobody answers.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "//" not in host:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK_SECONDS).close()


def _connect(ray: Any, address: str, cores: int) -> None:
    if address:
        try:
            _knock(address)
            ray.init(address=address, logging_level="WARNING")
        except (OSError, RuntimeError, ValueError) as error:
            raise StoreError(f"No cluster can be reached at '{address}': {error}") from error
        return
    for left in reversed(range(STARTS)):
        try:
            ray.init(
                address="local",
                num_cpus=cores,
                include_dashboard=False,
                object_store_memory=STORE_BYTES,
                logging_level="WARNING",
            )
            return
        except Exception as error:  # Ray raises no narrower one
            ray.shutdown()
            if not left:
                raise StoreError(f"Ray does not start on this machine: {error}") from error
            warn("Ray did not start in its time; once more.")
