"""The engine for many cores, GPUs or machines, on Ray: workers that each keep an encoder open.

The driver alone decides (`dispatch`), writes the study's index and speaks. Workers write result
rows and features themselves, whole or not at all, and answer with a cell's outcome. A worker that
dies is replaced and its cell tried again; Ray itself retries nothing. When the driver dies, Ray
ends its workers; what they had finished is in the folder, and a new driver's workers wait for a
cell that an old one still has (`Worker.attempt`).

Only this file and `ray_cluster` import Ray, and only in functions: Ray reads its settings when it
is imported.
"""

import contextlib
import os
import signal
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vireo.console import say, warn
from vireo.devices import versions
from vireo.errors import SettingError, StoreError
from vireo.study.cells import Cell
from vireo.study.dispatch import LANES, TRIES, Dispatch, Seat, needs
from vireo.study.ray_cluster import connected
from vireo.study.ray_worker import CellWorker, Hello, Job, job_of
from vireo.study.resources import Need, Resources
from vireo.study.work import Outcome, Worker, note_failure

STARTS = 3
"""How often a worker is started before giving up."""
RECHECK_SECONDS = 10.0
"""How often a waiting driver looks for machines that joined."""
STOP_SECONDS = 30.0
"""How long pre-training runs have for a checkpoint when the study is stopped."""


def run_cells(
    worker: Worker, cells: Sequence[Cell], resources: Resources
) -> Generator[Outcome, None, None]:
    """Run `cells` on a cluster's workers, as many at a time as it holds.

    Raises:
        MissingExtraError: Ray is not installed.
        SettingError: no machine can hold a worker, or none sees the study's folder.
        StoreError: the cluster or its workers cannot be started.
        NoSpaceError: a disk is full.
    """
    with (
        connected(resources.address) as ray,
        contextlib.closing(_Crew(ray, worker, cells, resources)) as crew,
    ):
        yield from crew.outcomes()


class _Actor:
    """A `CellWorker` that knows on which machine of the cluster it is."""

    def __init__(self, job: Job, gpus: float) -> None:
        self._worker = CellWorker(job, gpus)

    def open(self) -> Hello:
        import ray

        return self._worker.open(ray.get_runtime_context().get_node_id())

    def attempt(self, cell: Cell) -> Outcome:
        return self._worker.attempt(cell)


@dataclass(eq=False)
class _Member:
    """A worker as the driver sees it.

    Attributes:
        answer: what it was last asked, until it is fetched.
        seat: None until it has started, and for good where it cannot be used.
    """

    handle: Any
    need: Need
    answer: Any
    seat: Seat | None = None
    hello: Hello | None = None
    cell: Cell | None = None

    @property
    def is_idle(self) -> bool:
        return self.seat is not None and self.cell is None


class _Crew:
    """The workers of one study: hired as cells get ready, replaced when they die."""

    def __init__(
        self, ray: Any, worker: Worker, cells: Sequence[Cell], resources: Resources
    ) -> None:
        self._ray, self._folder, self._resources = ray, worker.folder, resources
        self._dispatch = Dispatch(worker.plan, cells, local=resources.features is not None)
        self._needs = needs(worker.compute.device, worker.cores, resources.gpus_per_cell)
        self._job = job_of(worker)
        self._members: list[_Member] = []
        self._hired = self._failed_starts = 0
        self._refusal, self._said = "", False
        self._known: dict[str, str] | None = None

    def outcomes(self) -> Iterator[Outcome]:
        """Yield each cell's outcome as it comes."""
        while self._dispatch.left:
            self._staff()
            self._assign()
            yield from self._collect()

    def close(self) -> None:
        """End all workers; pre-training runs first write a checkpoint."""
        training = [m for m in self._members if m.cell is not None and m.cell.is_pretraining]
        try:
            for member in training:
                self._interrupt(member)
            if training:
                answers = [member.answer for member in training]
                self._ray.wait(answers, num_returns=len(answers), timeout=STOP_SECONDS)
        finally:
            for member in list(self._members):
                self._dismiss(member)

    def _staff(self) -> None:
        """Hire for the first lane whose cells lack workers; later lanes get what it leaves."""
        for lane in LANES:
            waiting = self._dispatch.ready(lane)
            if waiting:
                need = self._needs[lane]
                for member in [m for m in self._members if m.is_idle and m.need != need]:
                    self._dismiss(member)
                self._hire(need, waiting)
                return

    def _hire(self, need: Need, waiting: int) -> None:
        alike = [member for member in self._members if member.need == need]
        without = sum(member.cell is None for member in alike)
        if waiting <= without:
            return
        room = (self._resources.cells_at_once or self._slots(need)) - len(alike)
        for _ in range(min(waiting - without, room)):
            made = self._ray.remote(_Actor).options(
                num_cpus=need.cores, num_gpus=need.gpus, max_restarts=0, max_task_retries=0
            )
            handle = made.remote(self._job, need.gpus)
            self._members.append(_Member(handle, need, handle.open.remote()))

    def _slots(self, need: Need) -> int:
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return sum(map(need.fits, machines))

    def _assign(self) -> None:
        for member in self._members:
            if member.is_idle and member.seat is not None:
                lanes = [lane for lane in LANES if self._needs[lane] == member.need]
                taken = (self._dispatch.take(lane, member.seat) for lane in lanes)
                member.cell = next((cell for cell in taken if cell is not None), None)
                if member.cell is not None:
                    member.answer = member.handle.attempt.remote(member.cell)

    def _collect(self) -> Iterator[Outcome]:
        asked = {m.answer: m for m in self._members if m.answer is not None}
        if not asked:
            raise SettingError(self._refusal or self._no_room())
        answered, _ = self._ray.wait(list(asked), num_returns=1, timeout=RECHECK_SECONDS)
        if not answered and not self._said and not self._hired:
            say("Waiting for the cluster to give this study a worker, and for it to start.")
            self._said = True
        for answer in answered:
            outcome = self._fetch(asked[answer])
            if outcome is not None:
                yield outcome

    def _no_room(self) -> str:
        need = self._needs["pretraining"]
        return (
            f"No machine of the cluster holds a worker of {need.cores} cores and {need.gpus:g} GPUs"
            " (threads and loading processes take a core each). Ask for fewer, or add a machine;"
            " with --cells-at-once the study waits for machines that are still to come."
        )

    def _fetch(self, member: _Member) -> Outcome | None:
        """Return the outcome that a worker answered, if that is what it was asked for."""
        from ray.exceptions import RayError, RayTaskError

        try:
            answer = self._ray.get(member.answer)
        except RayTaskError as error:
            raise error.cause from None  # a full disk, or a bug: more of it helps nobody
        except RayError as error:
            return self._replace(member, error)
        member.answer = None
        if isinstance(answer, Hello):
            self._welcome(member, answer)
            return None
        return self._finish(member, answer)

    def _welcome(self, member: _Member, hello: Hello) -> None:
        """Give a worker its seat, unless its numbers would not go with the others'.

        One that is refused keeps its place, so that no other is started there.
        """
        self._failed_starts = 0
        known = self._known or hello.facts | versions()
        problem = hello.problem or ", ".join(
            f"{name} {hello.facts.get(name)} instead of {known[name]}"
            for name in known
            if hello.facts.get(name) != known[name]
        )
        if problem:
            self._refusal = f"The machine {hello.host} cannot be used: {problem}."
            warn(self._refusal)
            return
        self._known = known
        self._hired += 1
        member.seat, member.hello = Seat(self._hired, hello.machine), hello

    def _finish(self, member: _Member, outcome: Outcome) -> Outcome | None:
        member.cell = None
        shared = 0 < member.need.gpus < 1
        if outcome.out_of_memory and shared and self._dispatch.alone(outcome.cell):
            say(f"{outcome.cell.name}: its share of a GPU is too small; it gets a whole one later.")
            return None
        self._dispatch.done(outcome)
        return outcome

    def _replace(self, member: _Member, error: Exception) -> Outcome | None:
        """Note that a worker died; return the outcome of its cell if that is to be given up."""
        cell, host = member.cell, member.hello.host if member.hello else ""
        self._dismiss(member)
        if cell is None:
            self._failed_starts += 1
            if self._failed_starts >= STARTS:
                raise StoreError(f"Workers do not start on the cluster: {error}")
            return None
        if self._dispatch.lost(cell):
            warn(f"{cell.name}: its worker on {host} died; it is tried again.")
            return None
        sentence = (
            f"Its worker died {TRIES} times, the last time with no other cell beside it. Was the"
            f" memory of {host} at its end? See the log of its kernel."
        )
        note_failure(self._folder, cell, sentence, str(error))
        outcome = Outcome(cell, error=sentence)
        self._dispatch.done(outcome)
        return outcome

    def _interrupt(self, member: _Member) -> None:
        """Send a worker's process SIGTERM: a pre-training run then writes a checkpoint."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        if member.hello is not None:
            there = NodeAffinitySchedulingStrategy(member.hello.machine, soft=False)
            send = self._ray.remote(_terminate).options(num_cpus=0, scheduling_strategy=there)
            send.remote(member.hello.process)

    def _dismiss(self, member: _Member) -> None:
        self._members.remove(member)
        self._ray.kill(member.handle)
        if member.seat is not None:
            self._dispatch.gone(member.seat)


def _terminate(process: int) -> None:
    os.kill(process, signal.SIGTERM)
