"""Where cells are computed: in this process, or in worker processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from multiprocessing import connection
from types import TracebackType
from typing import Any, Protocol

from manypaths import fields
from manypaths.experiments.cells import Outcome, Task, perform
from manypaths.run.memory import keep_freed_memory

Raised = type[BaseException] | None


class Executor(Protocol):
    """Takes tasks, hands out outcomes in the order of completion, and owns what it computes with while entered.

    Results are files in the tasks' directories; an outcome only says that one is there, or why not. Leaving while
    tasks are at work (an error, Ctrl-C) ends these.
    """

    def submit(self, task: Task) -> None: ...

    def __iter__(self) -> Iterator[Outcome]:
        """Until every submitted task has its outcome."""
        ...

    def __enter__(self) -> Executor: ...

    def __exit__(self, kind: Raised, error: BaseException | None, trace: TracebackType | None) -> None: ...


class InProcess:
    """One after the other, here: for tests and for the debugger."""

    def __init__(self, *, threads: fields.PositiveInt = 1):
        fields.check_arguments(InProcess, locals())
        self._threads, self._tasks = threads, deque[Task]()

    def submit(self, task: Task) -> None:
        self._tasks.append(task)

    def __iter__(self) -> Iterator[Outcome]:
        while self._tasks:
            yield perform(self._tasks.popleft(), threads=self._threads)

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, kind: Raised, error: BaseException | None, trace: TracebackType | None) -> None:
        self._tasks.clear()


class ProcessPool:
    """``workers`` spawned processes; one that dies costs only the cell that it was computing.

    ``concurrent.futures`` would give up the whole pool then. What a cell prints goes to ``output.txt`` in its
    directory.
    """

    def __init__(self, workers: fields.PositiveInt = 1, *, threads: fields.PositiveInt = 1, grace: float = 10.0):
        fields.check_arguments(ProcessPool, locals())
        self._most, self._threads, self._grace = workers, threads, grace
        self._tasks: deque[Task] = deque()
        self._workers: list[_Worker] = []

    def submit(self, task: Task) -> None:
        self._tasks.append(task)

    def __iter__(self) -> Iterator[Outcome]:
        while True:
            self._hand_out()
            busy = {worker.pipe: worker for worker in self._workers if worker.task}
            if not busy:
                return
            for pipe in connection.wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                outcome = worker.outcome()
                if worker.dead:
                    self._workers.remove(worker)
                yield outcome

    def _hand_out(self) -> None:
        for worker in self._workers:
            if self._tasks and not worker.task:
                worker.begin(self._tasks.popleft())
        while self._tasks and len(self._workers) < self._most:
            self._workers.append(_Worker(self._threads))
            self._workers[-1].begin(self._tasks.popleft())

    def __enter__(self) -> ProcessPool:
        return self

    def __exit__(self, kind: Raised, error: BaseException | None, trace: TracebackType | None) -> None:
        self._tasks.clear()
        try:
            for worker in self._workers:
                worker.pipe.close()
                if worker.task:
                    worker.process.terminate()  # a run in it saves a checkpoint first
            deadline = time.monotonic() + self._grace
            for worker in self._workers:
                worker.process.join(max(0.0, deadline - time.monotonic()))
        finally:
            for worker in self._workers:
                if worker.process.is_alive():
                    worker.process.kill()
                worker.process.join()
            self._workers.clear()


class _Worker:
    """The parent's end of one process."""

    def __init__(self, threads: int):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, threads, _SAFE in os.environ), daemon=True)
        self.task: Task | None = None
        self.dead = False
        with _inherited(threads):
            self.process.start()
        theirs.close()  # so that the pipe ends when the worker does

    def begin(self, task: Task) -> None:
        self.task, self._began = task, time.perf_counter()
        with contextlib.suppress(BrokenPipeError):  # it died idle; ``outcome`` says so
            self.pipe.send(task)

    def outcome(self) -> Outcome:
        """The outcome that waits in the pipe, or the end of the process that should have sent one."""
        task, self.task = self.task, None
        assert task is not None
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.dead = True
            self.process.join()
            return Outcome(task, time.perf_counter() - self._began, f"the worker {_how(self.process.exitcode)}")


_SAFE = "PYTHONSAFEPATH"
"""Without it a spawned process looks into the current folder first, before it takes over the parent's path."""


def _how(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        return f"was killed by {signal.Signals(-exitcode).name}"
    return f"ended with exit status {exitcode}"


@contextlib.contextmanager
def _inherited(threads: int) -> Iterator[None]:
    """What a process takes over when it starts: Ctrl-C is the parent's business, and BLAS keeps to its threads."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # and no file here may hide a module
    saved: dict[str, str | None] = {name: os.environ.get(name) for name in (*names, _SAFE)}
    main = threading.current_thread() is threading.main_thread()
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN) if main else None
    os.environ.update(dict.fromkeys(names, str(threads)) | {_SAFE: "1"})
    try:
        yield
    finally:
        for name, value in saved.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        if main:
            signal.signal(signal.SIGINT, previous)


def _work(pipe: Any, threads: int, safe: bool) -> None:
    """The life of a worker: tasks in, outcomes out, until the parent closes the pipe or is no more."""
    if not safe:  # what a cell starts finds the current folder first, as ever
        os.environ.pop(_SAFE, None)
    threading.Thread(target=_follow_the_parent, daemon=True).start()
    keep_freed_memory()
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        task.directory.mkdir(parents=True, exist_ok=True)
        with _printing_to(task):
            outcome = perform(task, threads=threads)
        pipe.send(outcome)


def _follow_the_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def _printing_to(task: Task) -> Iterator[None]:
    """Standard output and error, C libraries' too, go to a file of the cell's."""
    with (task.directory / "output.txt").open("ab", buffering=0) as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
        yield
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
