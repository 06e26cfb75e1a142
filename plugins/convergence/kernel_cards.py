"""Cards of kernel alignments beyond linear CKA, and of distance correlation."""

from __future__ import annotations

from typing import Any

from numgeom import ConvergenceSpec
from numgeom_plugins.convergence.invariances import HERE, INFINITY, SHAPE, SIZED


def cards() -> list[ConvergenceSpec]:
    """CKA of Gaussian kernels, HSIC, shared dimensions and distance correlation."""
    kornblith = "Kornblith et al. 2019, arXiv:1905.00414"
    song = "Song et al. 2012"
    lange = "Lange et al. 2023, arXiv:2206.10999"
    biased: dict[str, Any] = {"range": (0.0, 1.0), "invariant_to": SHAPE, "saturates": True, "reference": kornblith}
    found = [
        ConvergenceSpec(
            name="cka_linear_lange",
            summary="linear CKA over pairs of different rows: less biased than cka_linear, not debiased",
            target=f"{HERE}.hsic:LangeCKA",
            reference=lange,
            range=(-1.0, 1.0),
            invariant_to=SHAPE,
            saturates=True,
        ),
        ConvergenceSpec(
            name="cka_rbf_median",
            summary="CKA of Gaussian kernels, bandwidth a fraction of the median distance; biased",
            target=f"{HERE}.rbf:MedianBandwidthCKA",
            params={"fraction": 1.0},
            **biased,
        ),
        ConvergenceSpec(
            name="cka_rbf_median_debiased",
            summary="CKA of Gaussian kernels with unbiased HSIC, bandwidth a fraction of the median distance",
            target=f"{HERE}.rbf:DebiasedMedianBandwidthCKA",
            reference=f"{song}; {kornblith}",
            params={"fraction": 1.0},
            range=(-1.0, 1.0),
            invariant_to=SHAPE,
        ),
        ConvergenceSpec(
            name="cka_rbf_median_all_pairs",
            summary="CKA of Gaussian kernels, bandwidth from the median of all squared distances; biased",
            target=f"{HERE}.rbf:AllPairsMedianBandwidthCKA",
            params={"fraction": 1.0, "median": "linear"},
            **biased,
        ),
        ConvergenceSpec(
            name="cka_rbf_mean",
            summary="CKA of Gaussian kernels, bandwidth from the mean squared distance; biased",
            target=f"{HERE}.rbf:MeanBandwidthCKA",
            **biased,
        ),
        ConvergenceSpec(
            name="cka_rbf_local",
            summary="CKA of Gaussian kernels, each row with a bandwidth of its own; biased",
            target=f"{HERE}.rbf:LocalBandwidthCKA",
            **{**biased, "reference": "Zelnik-Manor & Perona 2004"},
        ),
        ConvergenceSpec(
            name="cka_rbf_fixed",
            summary="CKA of Gaussian kernels of one given bandwidth, in the units of the rows; biased",
            target=f"{HERE}.rbf:FixedBandwidthCKA",
            params={"sigma": 4.0},
            **{**biased, "invariant_to": SIZED},
        ),
        ConvergenceSpec(
            name="cka_rbf_fixed_debiased",
            summary="CKA of Gaussian kernels of one given bandwidth, with unbiased HSIC",
            target=f"{HERE}.rbf:DebiasedFixedBandwidthCKA",
            reference=f"{song}; {kornblith}",
            params={"sigma": 4.0},
            range=(-1.0, 1.0),
            invariant_to=SIZED,
        ),
        ConvergenceSpec(
            name="cka_rbf_fixed_lange",
            summary="CKA of Gaussian kernels of one given bandwidth, over pairs of different rows",
            target=f"{HERE}.rbf:LangeFixedBandwidthCKA",
            reference=lange,
            params={"sigma": 4.0},
            range=(-1.0, 1.0),
            invariant_to=SIZED,
            saturates=True,
        ),
        ConvergenceSpec(
            name="effective_shared_dimensions",
            summary="effective number of shared dimensions (ENSD): CKA times the mean participation ratio",
            target=f"{HERE}.hsic:EffectiveSharedDimensions",
            reference="Giaffar, Rullan Buxo & Aoi 2024",
            range=(0.0, INFINITY),
            invariant_to=SHAPE,
            saturates=True,
        ),
        ConvergenceSpec(
            name="distance_correlation",
            summary="distance correlation, the root of the biased estimate",
            target=f"{HERE}.distance_correlation:DistanceCorrelation",
            **{**biased, "reference": "Szekely, Rizzo & Bakirov 2007, arXiv:0803.4101"},
        ),
        ConvergenceSpec(
            name="distance_correlation_debiased",
            summary="bias-corrected squared distance correlation: 0 for unrelated clouds at any width",
            target=f"{HERE}.distance_correlation:DebiasedDistanceCorrelation",
            reference="Szekely & Rizzo 2013; 2014, arXiv:1310.2926",
            range=(-1.0, 1.0),
            invariant_to=SHAPE,
        ),
    ]
    hsic = (
        ("biased", "BiasedHSIC", "biased estimate", "Gretton et al. 2005", 0.0),
        ("lange", "LangeHSIC", "over pairs of different rows", lange, -INFINITY),
        ("unbiased", "UnbiasedHSIC", "unbiased U-statistic", song, -INFINITY),
    )
    found += [
        ConvergenceSpec(
            name=f"hsic_linear_{name}",
            summary=f"HSIC of linear kernels, {words}; grows with the size of the rows",
            target=f"{HERE}.hsic:{kind}",
            reference=reference,
            range=(lowest, INFINITY),
            invariant_to=SIZED,
        )
        for name, kind, words, reference, lowest in hsic
    ]
    return found
