"""Cards of dimension, succession, order and reference geometries."""

from __future__ import annotations

import numpy as np

from numgeom import GeometrySpec
from numgeom_plugins.geometry.invariances import RIGID


def cards() -> list[GeometrySpec]:
    """The cards of this module."""
    return [
        GeometrySpec(
            name="variance_spectrum",
            default=1,
            summary="How many dimensions the cloud fills: k_90, participation ratio, effective and stable rank, slope",
            reference="Roy & Vetterli 2007 (effective rank); Marchenko & Pastur 1967",
            version=2,
            target="numgeom_plugins.geometry.spectrum:variance_spectrum",
            params={"share": 0.9},
            range=(0.0, np.inf),
            invariant_to=RIGID | {"permutation"},
            nulls=("iid_gaussian",),
            rows_only=True,
        ),
        GeometrySpec(
            name="successive_cosine",
            default=2,
            summary="Cosine of n and n + lag, raw and centred, beside that of random pairs of numbers and of tokens",
            reference="Ethayarajh 2019, arXiv:1909.00512 (anisotropy baseline)",
            version=2,
            target="numgeom_plugins.geometry.succession:SuccessiveCosine",
            params={"lag": 1},
            invariant_to=frozenset({"orthogonal", "scale", "permutation"}),
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="distance_order",
            default=3,
            summary="Rank correlation of row distances with value, log, Levenshtein, length and Hamming distances",
            reference="Mantel 1967; Marjieh et al. 2025, arXiv:2502.01540",
            version=2,
            target="numgeom_plugins.geometry.order:DistanceOrder",
            range=(-1.0, 1.0),
            invariant_to=frozenset({"orthogonal", "scale", "permutation"}),
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="reference_geometry",
            default=4,
            summary="Debiased CKA with a line, log line, helix, digits, Levenshtein, frequency; shares of the Gram",
            reference="Kantamneni & Tegmark 2025, arXiv:2502.00873 (helix); Marjieh et al. 2025, arXiv:2502.01540",
            version=2,
            target="numgeom_plugins.geometry.reference:ReferenceGeometry",
            params={"counts": ""},
            range=(-1.0, 1.0),
            min_numbers=10,
            invariant_to=RIGID | {"permutation"},
            nulls=("row_permutation",),
        ),
    ]
