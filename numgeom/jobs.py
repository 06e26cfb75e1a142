"""Jobs: cells that are computed together, run here or in worker processes."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cloudpickle
import joblib
from threadpoolctl import threadpool_limits

from numgeom.errors import NumgeomError, UnknownName
from numgeom.plan import Cell
from numgeom.representation import Representation


@dataclass(slots=True)
class Job:
    """Cells that share their preparation, and the call that computes them together.

    Attributes
    ----------
    cells : list of Cell
    call : callable
    arguments, options
        Of the call.
    label : str
        What progress and timings name it.
    reps : sequence of Representation
        Those whose derived quantities it uses.
    part : object
        Which part of a comparison it is, where it is one.
    """

    cells: list[Cell]
    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    label: str
    reps: Sequence[Representation] = ()
    part: Any = None


def check_backend(name: str) -> None:
    """Refuse a joblib backend that is not there.

    Raises
    ------
    UnknownName, NumgeomError
    """
    known = ("dask", "loky", "multiprocessing", "threading")
    if name not in known:
        raise UnknownName("backend", name, known)
    if name == "dask" and importlib.util.find_spec("distributed") is None:
        raise NumgeomError("backend 'dask' needs a running dask cluster; type: pip install 'dask[distributed]'")


def run_jobs(jobs: Sequence[Job], workers: int, backend: str) -> Iterable[tuple[int, Any, float]]:
    """The jobs' results as they finish."""
    if workers <= 1:
        for number, job in enumerate(jobs):
            yield _timed(number, job.call, job.arguments, job.options)
        return
    for name, module in list(sys.modules.items()):
        if name.startswith("numgeom_dropin_"):
            # A drop-in file is not importable in a worker, so its functions travel by value.
            cloudpickle.register_pickle_by_value(module)
    parallel = joblib.Parallel(
        n_jobs=workers, backend=backend, return_as="generator_unordered", pre_dispatch="2*n_jobs"
    )
    calls = (joblib.delayed(_timed)(number, job.call, job.arguments, job.options) for number, job in enumerate(jobs))
    yield from parallel(calls)


def _timed(
    number: int, call: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]
) -> tuple[int, Any, float]:
    # Only libraries that are there are limited, and SciPy brings a BLAS of its own.
    import scipy.linalg  # noqa: F401

    started = time.perf_counter()
    # Sums over several threads differ in the last bit; one thread a job makes tables equal to the byte.
    with threadpool_limits(limits=1):
        result = call(*arguments, **options)
    return number, result, time.perf_counter() - started
