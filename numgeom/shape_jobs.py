"""Draws that only the shape of a cloud matters to: made once for all models of a study, divided over the workers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from numgeom.jobs import Job
from numgeom.single_draws import Drawn, ShapeKey, of_shape, shape_draws, shape_key, stand_in
from numgeom.singles import measure_beside


def shape_jobs(jobs: Sequence[Job], workers: int) -> list[Job]:
    """The jobs that make the draws of a shape, as many of each as there are workers."""
    wanted: dict[ShapeKey, tuple[Any, dict[str, Any], Job]] = {}
    for job in jobs:
        if job.call is measure_beside:
            for null, metrics in job.arguments[0]:
                for metric in of_shape(metrics, null, job.reps[0]):
                    wanted.setdefault(shape_key(null, job.reps[0]), (null, {}, job))[1][metric.label] = metric
    found = []
    for key, (null, metrics, job) in wanted.items():
        rep, draws = stand_in(job.reps[0]), int(job.options["draws"])
        parts = max(1, min(workers, draws))
        edges = [draws * k // parts for k in range(parts + 1)]
        for ends in pairwise(edges):
            options = {**job.options, "ends": ends}
            label = f"{null.label} of {rep.n} x {rep.provenance['width']}"
            found.append(Job([], shape_draws, (list(metrics.values()), null, rep), options, label, part=key))
    return found


def hand_over(finished: Iterable[tuple[Job, Drawn]], jobs: Sequence[Job]) -> None:
    """Give finished draws to the jobs that need them."""
    parts: dict[ShapeKey, dict[int, Drawn]] = {}
    for job, drawn in finished:
        parts.setdefault(job.part, {})[job.options["ends"][0]] = drawn
    known = {key: Drawn.joined([held[first] for first in sorted(held)]) for key, held in parts.items()}
    for job in jobs:
        if job.call is measure_beside:
            keys = {shape_key(null, job.reps[0]) for null, _ in job.arguments[0] if null is not None}
            job.options["known"] = {key: known[key] for key in keys if key in known}
