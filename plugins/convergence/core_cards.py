"""The cards of the metrics that most tables are made of."""

from __future__ import annotations

import math

from numgeom import ConvergenceSpec

_HERE = "numgeom_plugins.convergence"
_SHAPE = frozenset({"orthogonal", "scale", "translation", "permutation"})
_ANGLES = frozenset({"orthogonal", "scale", "permutation"})


def cards() -> list[ConvergenceSpec]:
    """CKA, Procrustes, RSA, mutual nearest neighbours and order-mode coherence."""
    return [
        ConvergenceSpec(
            name="cka_linear",
            summary="linear CKA, biased: near 1 for unrelated clouds when d exceeds n",
            target=f"{_HERE}.cka:LinearCKA",
            reference="Kornblith et al. 2019, arXiv:1905.00414",
            range=(0.0, 1.0),
            invariant_to=_SHAPE,
            saturates=True,
        ),
        ConvergenceSpec(
            name="cka_linear_debiased",
            summary="linear CKA with unbiased HSIC in numerator and denominator: 0 for unrelated clouds at any width",
            target=f"{_HERE}.cka:DebiasedCKA",
            reference="Song et al. 2012; Murphy, Zylberberg & Fyshe 2024, arXiv:2405.01012",
            range=(-1.0, 1.0),
            invariant_to=_SHAPE,
            default=1,
        ),
        ConvergenceSpec(
            name="procrustes_angular",
            summary="angle between two shapes after the best rotation, in radians",
            target=f"{_HERE}.procrustes:AngularProcrustes",
            reference="Williams et al. 2021, arXiv:2110.14739",
            direction="lower_is_closer",
            range=(0.0, math.pi / 2),
            is_distance=True,
            invariant_to=_SHAPE,
            saturates=True,
            default=2,
        ),
        ConvergenceSpec(
            name="procrustes_distance",
            summary="Euclidean distance of two shapes of unit size after the best rotation",
            target=f"{_HERE}.procrustes:ProcrustesDistance",
            reference="Ding, Denain & Steinhardt 2021, arXiv:2108.01661",
            direction="lower_is_closer",
            range=(0.0, math.sqrt(2.0)),
            is_distance=True,
            invariant_to=_SHAPE,
            saturates=True,
        ),
        *(
            ConvergenceSpec(
                name=f"rsa_{comparison}_{distance}",
                summary=f"{comparison.capitalize()} correlation of the {words} of all pairs of numbers",
                target=f"{_HERE}.rsa:{comparison.capitalize()}{distance.capitalize()}RSA",
                reference="Kriegeskorte, Mur & Bandettini 2008",
                range=(-1.0, 1.0),
                invariant_to=invariant_to,
                default=place,
            )
            for comparison, distance, words, invariant_to, place in (
                ("spearman", "euclidean", "Euclidean distances", _SHAPE, 3),
                ("spearman", "cosine", "cosine distances", _ANGLES, 4),
                ("pearson", "euclidean", "Euclidean distances", _SHAPE, 0),
                ("pearson", "cosine", "cosine distances", _ANGLES, 0),
            )
        ),
        ConvergenceSpec(
            name="mutual_knn_cosine",
            summary="share of common nearest neighbours by cosine; chance is k / (n - 1)",
            target=f"{_HERE}.neighbours:CosineMutualKNN",
            reference="Huh et al. 2024, arXiv:2405.07987",
            params={"k": 10},
            range=(0.0, 1.0),
            invariant_to=_ANGLES,
            default=5,
        ),
        ConvergenceSpec(
            name="mutual_knn_euclidean",
            summary="share of common nearest neighbours by Euclidean distance; chance is k / (n - 1)",
            target=f"{_HERE}.neighbours:EuclideanMutualKNN",
            reference="Huh et al. 2024, arXiv:2405.07987",
            params={"k": 10},
            range=(0.0, 1.0),
            invariant_to=_SHAPE,
        ),
        *(
            ConvergenceSpec(
                name=f"order_mode_coherence_{basis}",
                summary=f"agreement of the order modes in {index}, each at unit length; 0 for unrelated walks in it",
                target=f"{_HERE}.coherence:{kind}",
                params={"q": 20},
                range=(-1.0, 1.0),
                invariant_to=_SHAPE,
            )
            for basis, index, kind in (("n", "n", "LinearCoherence"), ("log", "log(n + 1)", "LogCoherence"))
        ),
    ]
