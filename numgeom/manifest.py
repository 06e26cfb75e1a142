"""What a study was made with: enough to make it again, and the only place where time appears."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import pandas as pd

from numgeom.catalog import Catalog
from numgeom.loading import Loader
from numgeom.plan import Experiment, describe

SCHEMA = 1
PACKAGES = [
    "numgeom",
    "huggingface-hub",
    "joblib",
    "matplotlib",
    "numpy",
    "pandas",
    "pluggy",
    "safetensors",
    "scikit-learn",
    "scipy",
    "seaborn",
    "sentencepiece",
    "tiktoken",
    "tokenizers",
    "torch",
    "transformers",
    "umap-learn",
]


def make_manifest(
    experiment: Experiment,
    catalog: Catalog,
    loader: Loader,
    frame: pd.DataFrame,
    *,
    number_sets: Mapping[str, str],
    cells: Mapping[str, int],
    timings: Mapping[str, float],
    command: Sequence[str],
    registry: Mapping[str, Any],
) -> dict[str, Any]:
    """The manifest of a run as plain data.

    Parameters
    ----------
    experiment, catalog, loader, frame
        What was asked, what provided it, what was read, and the long table.
    number_sets : mapping
        Label in the table to the exact numbers.
    cells : mapping
        How many were computed and how many came from the cache.
    timings : mapping
        Seconds by kind of work.
    command : sequence of str
        How the run was started.
    registry : mapping
        Files and digest of the registry.
    """
    return {
        "schema": SCHEMA,
        "command": list(command),
        "experiment": describe(experiment),
        "registry": dict(registry),
        "versions": {"python": platform.python_version(), **_versions()},
        "plugins": [
            {
                "name": plugin.name,
                "version": plugin.version,
                "origin": plugin.origin,
                "status": plugin.status,
                "error": plugin.error,
            }
            for plugin in catalog.report.plugins
        ],
        "nulls": {
            choice.label: {
                "claim": choice.spec.claim,
                "keeps": choice.spec.keeps,
                "destroys": choice.spec.destroys,
            }
            for choice in _nulls(experiment, catalog)
        },
        "words": {
            choice.label: {name: {str(value): word for value, word in held.items()} for name, held in words.items()}
            for choice in (*experiment.geometry, *experiment.fidelity)
            if (words := choice.spec.words)
        },
        "representations": [
            {
                "model": model,
                "source": source,
                "numbers": numbers,
                "n": rep.n,
                "dim": rep.d,
                "dtype": str(rep.matrix.dtype),
                "digest": rep.digest,
                "provenance": dict(rep.provenance),
            }
            for (model, source, numbers), rep in sorted(loader.loaded.items())
        ],
        "number_sets": dict(sorted(number_sets.items())),
        "rows": {str(status): int(count) for status, count in sorted(frame["status"].value_counts().items())},
        "cells": dict(cells),
        "timings_seconds": {name: round(seconds, 3) for name, seconds in timings.items()},
    }


def _nulls(experiment: Experiment, catalog: Catalog) -> list[Any]:
    """The nulls of convergence scores first, in their order, then all others by name."""
    chosen = {choice.label: choice for choice in experiment.nulls}
    for name in catalog.nulls.names:
        choice = catalog.nulls.choose(name)
        chosen.setdefault(choice.label, choice)
    return list(chosen.values())


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
