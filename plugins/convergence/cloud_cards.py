"""Cards of metrics that do not ask for aligned rows, and of differences of descriptors."""

from __future__ import annotations

import math

from numgeom import ConvergenceSpec
from numgeom_plugins.convergence.invariances import ANGLES, HERE, INFINITY, SHAPE, SIZED


def cards() -> list[ConvergenceSpec]:
    """Distributions, spectra, descriptors and Gromov-Wasserstein."""
    klabunde = "Klabunde et al. 2023, arXiv:2305.06329"
    memoli = "Memoli 2011; Flamary et al. 2021 (POT)"
    return [
        ConvergenceSpec(
            name="frechet_distance",
            summary="distance of the Gaussians with the means and covariances of both clouds; axes must be shared",
            target=f"{HERE}.clouds:FrechetDistance",
            reference="Dowson & Landau 1982; Heusel et al. 2017, arXiv:1706.08500",
            direction="lower_is_closer",
            range=(0.0, INFINITY),
        ),
        ConvergenceSpec(
            name="mmd_rbf",
            summary="maximum mean discrepancy of a Gaussian kernel at the pooled median distance; axes must be shared",
            target=f"{HERE}.clouds:GaussianMMD",
            reference="Gretton et al. 2012",
            direction="lower_is_closer",
            range=(0.0, math.sqrt(2.0)),
            equal_dims=True,
        ),
        ConvergenceSpec(
            name="eigenspectrum_distance",
            summary="Euclidean distance of the explained-variance ratios",
            target=f"{HERE}.subspaces:EigenspectrumDistance",
            reference="platonic-universe",
            direction="lower_is_closer",
            range=(0.0, math.sqrt(2.0)),
            invariant_to=SHAPE,
        ),
        ConvergenceSpec(
            name="magnitude_difference",
            summary="difference of the lengths of the mean rows",
            target=f"{HERE}.descriptors:MagnitudeDifference",
            reference=klabunde,
            direction="lower_is_closer",
            range=(0.0, INFINITY),
            invariant_to=frozenset({"orthogonal", "permutation"}),
        ),
        ConvergenceSpec(
            name="concentricity_difference",
            summary="difference of the mean cosines of the rows with their mean",
            target=f"{HERE}.descriptors:ConcentricityDifference",
            reference=klabunde,
            direction="lower_is_closer",
            range=(0.0, 2.0),
            invariant_to=ANGLES,
        ),
        ConvergenceSpec(
            name="uniformity_difference",
            summary="difference of the log mean Gaussian potentials of the raw rows",
            target=f"{HERE}.descriptors:UniformityDifference",
            reference=f"Wang & Isola 2020, arXiv:2005.10242; {klabunde}",
            params={"t": 2.0},
            direction="lower_is_closer",
            range=(0.0, INFINITY),
            invariant_to=SIZED,
        ),
        ConvergenceSpec(
            name="gromov_wasserstein",
            summary="Gromov-Wasserstein distance of the Euclidean distances; rows are matched, not given",
            target=f"{HERE}.transport:GromovWasserstein",
            reference=memoli,
            requires=("ot=POT",),
            direction="lower_is_closer",
            range=(0.0, math.sqrt(2.0)),
            invariant_to=SHAPE,
        ),
        ConvergenceSpec(
            name="gromov_wasserstein_matching",
            summary="share of the numbers that Gromov-Wasserstein maps onto themselves; chance is 1 / n",
            target=f"{HERE}.transport:MatchingAccuracy",
            reference=memoli,
            requires=("ot=POT",),
            range=(0.0, 1.0),
            invariant_to=SHAPE,
        ),
    ]
