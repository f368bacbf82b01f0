"""Two jobs at once: on a CPU in two Python threads that share torch's, on a GPU on two streams."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Barrier

import torch

from manypaths.evaluation.execution import uncached_autocast
from manypaths.vectors import Gradients, present

Evaluation = Callable[[], Gradients]


def both(first: Evaluation, second: Evaluation, device: torch.device) -> tuple[Gradients, Gradients]:
    """What two independent evaluations give, evaluated at once; an error of either is raised when both have ended."""
    if device.type == "cuda":
        return _on_two_streams(first, second, device)
    pool = _two_threads(torch.get_num_threads())
    autocast = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")
    jobs = [pool.submit(_like_the_caller, job, *autocast) for job in (first, second)]
    wait(jobs)  # both, also when one fails: the context around them is shared
    return jobs[0].result(), jobs[1].result()


def _like_the_caller(job: Evaluation, autocast: bool, dtype: torch.dtype) -> Gradients:
    """Autocast is a property of a thread."""
    with uncached_autocast("cpu", dtype) if autocast else contextlib.nullcontext():
        return job()


def _on_two_streams(first: Evaluation, second: Evaluation, device: torch.device) -> tuple[Gradients, Gradients]:
    main, side = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    side.wait_stream(main)
    with torch.cuda.stream(side):
        there = second()
    now = first()
    main.wait_stream(side)
    for name in there:
        for tensor in [*present(there[name]), there.losses[name]]:
            tensor.record_stream(main)  # else its memory could be given away while the main stream still reads it
    return now, there


def _share(threads: int) -> None:
    """Give this Python thread its share of the intra-op threads, for good."""
    torch.get_num_threads()  # a thread's first use of torch takes over the number that was set last: let it be over
    torch.set_num_threads(threads)


_POOLS: dict[tuple[int, int], ThreadPoolExecutor] = {}


def _two_threads(threads: int) -> ThreadPoolExecutor:
    """Two Python threads that share torch's intra-op threads; a pool per process, for no thread survives a fork."""
    key = (os.getpid(), threads)
    if key not in _POOLS:
        meet = Barrier(2)
        pool = ThreadPoolExecutor(2, "evaluation", initializer=_share, initargs=(threads // 2,))
        wait([pool.submit(meet.wait) for _ in range(2)])  # both threads exist
        torch.set_num_threads(threads)  # torch hands the number that was set last to threads that come later
        _POOLS[key] = pool
    return _POOLS[key]
