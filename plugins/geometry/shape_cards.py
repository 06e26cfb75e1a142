"""Cards of the shape of the cloud: similarity, distances, norms, paths, dimensions, digits, single dimensions."""

from __future__ import annotations

import numpy as np

from numgeom import GeometrySpec
from numgeom_plugins.geometry.invariances import RIGID

_HERE = "numgeom_plugins.geometry"
ANY_AXES = RIGID | {"permutation"}


def cards() -> list[GeometrySpec]:
    """The cards of this module."""
    return [
        GeometrySpec(
            name="isotropy",
            summary="Gates on everything else: zero and duplicate rows, mean direction, IsoScore, least singular value",
            reference="Rudman et al. 2022, arXiv:2108.07344 (IsoScore); Mu & Viswanath 2018, arXiv:1702.01417",
            target=f"{_HERE}.isotropy:isotropy",
            range=(-1.0, np.inf),
            min_numbers=3,
            invariant_to=frozenset({"orthogonal", "scale", "permutation"}),
            nulls=(),
        ),
        GeometrySpec(
            name="similarity_profile",
            summary="Cosine against the lag, and what the same last digit and as many digits add at one lag",
            reference="definitions ours; correlogram: Matheron 1963",
            target=f"{_HERE}.similarity:SimilarityProfile",
            range=(-2.0, 2.0),
            invariant_to=ANY_AXES,
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="toeplitz_fraction",
            summary="How much of the similarity of two numbers depends on their distance alone, on n and on log n",
            reference="Karkada et al. 2026, arXiv:2602.15029 (translation symmetry); the fraction is ours",
            target=f"{_HERE}.toeplitz:ToeplitzFraction",
            range=(0.0, 1.0),
            min_numbers=5,
            invariant_to=ANY_AXES,
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="distance_commonality",
            summary="Unique and common shares of row distances explained by log, string, linear and frequency ones",
            reference="Marjieh et al. 2025, arXiv:2502.01540; Newton & Spurrell 1967",
            target=f"{_HERE}.distance_commonality:DistanceCommonality",
            range=(-1.0, 1.0),
            invariant_to=ANY_AXES,
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="scaling_exponent",
            summary="Linear, logarithmic or power spacing along PC1: R2 in and out of fold, AIC, exponent and interval",
            reference="AlquBoj et al. 2025, arXiv:2502.16147; Box & Cox 1964",
            target=f"{_HERE}.number_line:ScalingExponent",
            min_numbers=10,
            invariant_to=ANY_AXES,
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="norm_profile",
            summary="Correlation of the norm with n, log n and merge rank, plain and partial",
            reference="Schakel & Wilson 2015, arXiv:1508.02297; Yule 1907",
            target=f"{_HERE}.norms:NormProfile",
            range=(-1.0, np.inf),
            invariant_to=frozenset({"orthogonal", "scale", "permutation"}),
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="consecutive_distance",
            summary="Length of the step to the next number by digits that change, straightness and turns of the path",
            reference="definitions ours",
            target=f"{_HERE}.steps:ConsecutiveDistance",
            range=(-1.0, np.inf),
            invariant_to=ANY_AXES,
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="parallelism",
            summary="Whether adding 1, 10 or 100 is the same step everywhere: mean cosine of differences",
            reference="Mikolov, Yih & Zweig 2013; the measure is ours",
            target=f"{_HERE}.parallelism:Parallelism",
            range=(-1.0, 1.0),
            min_numbers=5,
            invariant_to=ANY_AXES,
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="digit_clusters",
            summary="Silhouette, neighbour agreement and variance share of digits, digit length and parity",
            reference="Rousseeuw 1987 (silhouette)",
            target=f"{_HERE}.digit_clusters:DigitClusters",
            range=(-1.0, 1.0),
            min_numbers=6,
            invariant_to=frozenset({"orthogonal", "scale", "permutation"}),
            nulls=("within_digit_length", "row_permutation"),
        ),
        GeometrySpec(
            name="value_or_string",
            summary='Whether "007" lies near "7", near "001" to "009" or near "700": ranks by cosine among all of them',
            reference="definition ours",
            target=f"{_HERE}.value_or_string:ValueOrString",
            range=(0.0, 1.0),
            min_numbers=2,
            invariant_to=frozenset({"orthogonal", "scale", "permutation"}),
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="digit_model",
            summary="Additive code of digits: R2 of numbers left out, gain by interactions, share of each digit place",
            reference="definitions ours; type-II sums of squares: Yates 1934",
            target=f"{_HERE}.digit_model:DigitModel",
            range=(-np.inf, 1.0),
            min_numbers=20,
            invariant_to=ANY_AXES,
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="parallel_analysis",
            summary="How many components stand out of the same columns, each shuffled on its own",
            reference="Horn 1965; Buja & Eyuboglu 1992",
            target=f"{_HERE}.parallel_analysis:parallel_analysis",
            params={"draws": 19, "seed": 0},
            range=(0.0, np.inf),
            invariant_to=RIGID - {"orthogonal"} | {"permutation"},
            nulls=(),
        ),
        GeometrySpec(
            name="intrinsic_dimension",
            summary="Dimension from neighbour distances (TwoNN, Levina-Bickel), local PCA, and hubness",
            version=2,
            reference="Facco et al. 2017; Levina & Bickel 2004; Fukunaga & Olsen 1971; Radovanovic et al. 2010",
            target=f"{_HERE}.intrinsic_dimension:intrinsic_dimension",
            min_numbers=5,
            invariant_to=ANY_AXES,
            nulls=("iid_gaussian",),
            rows_only=True,
        ),
        GeometrySpec(
            name="sequence_correlation",
            summary="Largest correlation of any dimension with number sequences, plain and partial for magnitude",
            reference="Yule 1907; Westfall & Young 1993 (max statistic)",
            target=f"{_HERE}.sequence_correlation:SequenceCorrelation",
            range=(0.0, 1.0),
            min_numbers=12,
            invariant_to=RIGID - {"orthogonal"} | {"permutation"},
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="sequence_discoveries",
            summary="Share of column-sequence tests that survive FDR and N_eff, also after a random rotation",
            reference="Benjamini & Hochberg 1995; Bartlett 1935",
            target=f"{_HERE}.sequence_correlation:sequence_discoveries",
            params={"seed": 0},
            range=(0.0, np.inf),
            min_numbers=12,
            invariant_to=RIGID - {"orthogonal"} | {"permutation"},
            nulls=(),
        ),
    ]
