"""Cards of alignments: canonical correlations, rotations, permutations of columns and linear maps."""

from __future__ import annotations

import math
from typing import Any

from numgeom import ConvergenceSpec
from numgeom_plugins.convergence.invariances import ANGLES, COLUMNS, HERE, INFINITY, LINEAR, SHAPE, SIZED

WILLIAMS = "Williams et al. 2021, arXiv:2110.14739"
RAGHU = "Raghu et al. 2017, arXiv:1706.05806"
MORCOS = "Morcos, Raghu & Bengio 2018, arXiv:1806.05759"
LI = "Li et al. 2015, arXiv:1511.07543"


def cards() -> list[ConvergenceSpec]:
    """All of them."""
    return [*_canonical(), *_rotations(), *_columns(), *_predictivity()]


def _canonical() -> list[ConvergenceSpec]:
    share: dict[str, Any] = {"range": (0.0, 1.0), "saturates": True}
    return [
        ConvergenceSpec(
            name="cca_mean",
            summary="mean canonical correlation; 1 for any two models with d >= n - 1",
            target=f"{HERE}.canonical:CCA",
            reference=RAGHU,
            params={"ridge": 0.0},
            invariant_to=LINEAR,
            **share,
        ),
        ConvergenceSpec(
            name="cca_mean_squared",
            summary="mean squared canonical correlation; 1 for any two models with d >= n - 1",
            target=f"{HERE}.canonical:SquaredCCA",
            reference="Yanai 1974; Kornblith et al. 2019, arXiv:1905.00414",
            params={"ridge": 0.0},
            invariant_to=LINEAR,
            **share,
        ),
        ConvergenceSpec(
            name="svcca",
            summary="mean canonical correlation of the components that hold a share of the variance",
            target=f"{HERE}.canonical:SVCCA",
            reference=RAGHU,
            params={"variance": 0.99, "ridge": 0.0},
            invariant_to=SHAPE,
            **share,
        ),
        ConvergenceSpec(
            name="svcca_fixed",
            summary="mean canonical correlation of the first k principal components",
            target=f"{HERE}.canonical:FixedSVCCA",
            reference=RAGHU,
            params={"k": 10, "ridge": 0.0},
            range=(0.0, 1.0),
            invariant_to=SHAPE,
        ),
        ConvergenceSpec(
            name="pwcca",
            summary="canonical correlations weighted by what they carry of the first model",
            target=f"{HERE}.canonical:PWCCA",
            reference=MORCOS,
            symmetric=False,
            invariant_to=COLUMNS,
            **share,
        ),
        ConvergenceSpec(
            name="pwcca_both_directions",
            summary="projection-weighted canonical correlation, averaged over both directions",
            target=f"{HERE}.canonical:MeanPWCCA",
            reference=MORCOS,
            invariant_to=COLUMNS,
            **share,
        ),
        ConvergenceSpec(
            name="gulp",
            summary="distance of what ridge regression can predict from either model",
            target=f"{HERE}.canonical:GULP",
            reference="Boix-Adsera et al. 2022, arXiv:2210.06545",
            params={"ridge": 0.01},
            direction="lower_is_closer",
            range=(0.0, INFINITY),
            is_distance=True,
            invariant_to=SHAPE,
            saturates=True,
        ),
        ConvergenceSpec(
            name="eigenspace_overlap",
            summary="share of the larger column space that the other covers; not centred",
            target=f"{HERE}.subspaces:EigenspaceOverlap",
            reference="May et al. 2019, arXiv:1909.01264",
            invariant_to=LINEAR - {"translation"},
            **share,
        ),
    ]


def _rotations() -> list[ConvergenceSpec]:
    angle: dict[str, Any] = {
        "direction": "lower_is_closer",
        "range": (0.0, math.pi / 2),
        "is_distance": True,
        "saturates": True,
    }
    hamilton = "Hamilton, Leskovec & Jurafsky 2016, arXiv:1605.09096"
    return [
        ConvergenceSpec(
            name="procrustes_angular_uncentred",
            summary="angle of the raw rows after the best rotation, in radians; a common mean counts as shape",
            target=f"{HERE}.shape:UncentredAngularProcrustes",
            reference=WILLIAMS,
            invariant_to=ANGLES,
            **angle,
        ),
        ConvergenceSpec(
            name="procrustes_size_and_shape",
            summary="distance of centred rows after the best rotation, sizes kept (Bures distance of the Grams)",
            target=f"{HERE}.shape:SizeAndShape",
            reference=WILLIAMS,
            direction="lower_is_closer",
            range=(0.0, INFINITY),
            is_distance=True,
            invariant_to=SIZED,
        ),
        ConvergenceSpec(
            name="shape_metric_angular",
            summary="angle of partly whitened rows after the best rotation, in radians",
            target=f"{HERE}.shape:ShapeMetric",
            reference=WILLIAMS,
            params={"alpha": 0.5, "whitening": "covariance"},
            invariant_to=SIZED,
            **angle,
        ),
        ConvergenceSpec(
            name="shape_metric_angular_whitened",
            summary="angle of whitened rows after the best rotation, in radians; 0 for any models with d >= n - 1",
            target=f"{HERE}.shape:WhitenedShapeMetric",
            reference=WILLIAMS,
            invariant_to=LINEAR,
            **angle,
        ),
        ConvergenceSpec(
            name="aligned_cosine",
            summary="mean cosine of the rows of a number after the best rotation of centred rows",
            target=f"{HERE}.aligned_cosine:AlignedCosine",
            reference=hamilton,
            range=(-1.0, 1.0),
            invariant_to=SHAPE,
            saturates=True,
        ),
        ConvergenceSpec(
            name="aligned_cosine_uncentred",
            summary="mean cosine of the rows of a number after the best rotation of raw rows",
            target=f"{HERE}.aligned_cosine:UncentredAlignedCosine",
            reference=hamilton,
            range=(-1.0, 1.0),
            invariant_to=ANGLES,
            saturates=True,
        ),
    ]


def _columns() -> list[ConvergenceSpec]:
    return [
        ConvergenceSpec(
            name="permutation_procrustes_angular",
            summary="angle of centred rows after the best permutation of columns, in radians",
            target=f"{HERE}.columns:PermutationAngle",
            reference=WILLIAMS,
            direction="lower_is_closer",
            range=(0.0, math.pi),
            is_distance=True,
            invariant_to=COLUMNS,
        ),
        ConvergenceSpec(
            name="permutation_procrustes",
            summary="distance of raw rows after the best permutation of columns, in the units of the rows",
            target=f"{HERE}.columns:PermutationDistance",
            reference=WILLIAMS,
            direction="lower_is_closer",
            range=(0.0, INFINITY),
            is_distance=True,
            invariant_to=frozenset({"permutation"}),
        ),
        ConvergenceSpec(
            name="correlation_match_hard",
            summary="mean correlation of columns matched one to one",
            target=f"{HERE}.columns:HardCorrelationMatch",
            reference=LI,
            range=(-1.0, 1.0),
            invariant_to=COLUMNS,
        ),
        ConvergenceSpec(
            name="correlation_match_soft",
            summary="mean correlation of each column with its best partner",
            target=f"{HERE}.columns:SoftCorrelationMatch",
            reference=f"{LI}; Khosla & Williams 2024, arXiv:2311.09466",
            range=(-1.0, 1.0),
            invariant_to=COLUMNS,
        ),
        ConvergenceSpec(
            name="rowwise_cosine",
            summary="mean cosine of the rows of a number without alignment, for models that share their axes",
            target=f"{HERE}.columns:RowwiseCosine",
            reference="Hamilton, Leskovec & Jurafsky 2016, arXiv:1605.09096",
            range=(-1.0, 1.0),
            invariant_to=frozenset({"scale"}),
            equal_dims=True,
        ),
        ConvergenceSpec(
            name="tucker_congruence",
            summary="mean absolute cosine of the same columns, for models that share their axes",
            target=f"{HERE}.columns:TuckerCongruence",
            reference="Tucker 1951; Lorenzo-Seva & ten Berge 2006",
            range=(0.0, 1.0),
            invariant_to=frozenset({"scale"}),
            equal_dims=True,
        ),
    ]


def _predictivity() -> list[ConvergenceSpec]:
    yamins = "Yamins et al. 2014; Schrimpf et al. 2018"
    return [
        ConvergenceSpec(
            name="linear_predictivity",
            summary="out-of-fold R2 of ridge regression, second model from the first, random folds",
            target=f"{HERE}.predictivity:Predictivity",
            reference=yamins,
            params={"folds": 5, "seed": 0},
            range=(-INFINITY, 1.0),
            symmetric=False,
            invariant_to=SHAPE,
        ),
        ConvergenceSpec(
            name="linear_predictivity_blocks",
            summary="out-of-fold R2 of ridge regression, second model from the first, folds of consecutive numbers",
            target=f"{HERE}.predictivity:BlockPredictivity",
            reference=f"{yamins}; Roberts et al. 2017",
            params={"folds": 5},
            range=(-INFINITY, 1.0),
            symmetric=False,
            invariant_to=SHAPE,
        ),
        ConvergenceSpec(
            name="linear_predictivity_in_sample",
            summary="in-sample R2 of least squares, second model from the first; 1 for any models with d >= n - 1",
            target=f"{HERE}.predictivity:InSamplePredictivity",
            reference="Kornblith et al. 2019, arXiv:1905.00414",
            params={"reverse": False},
            range=(0.0, 1.0),
            symmetric=False,
            invariant_to=SHAPE,
            saturates=True,
        ),
        ConvergenceSpec(
            name="ridge_predictivity_in_sample",
            summary="in-sample R2 of ridge regression with a fixed penalty, mean over columns of the second model",
            target=f"{HERE}.predictivity:InSampleRidge",
            reference="Hoerl & Kennard 1970",
            params={"alpha": 1.0},
            range=(0.0, 1.0),
            symmetric=False,
            invariant_to=frozenset({"translation", "permutation"}),
            saturates=True,
        ),
    ]
