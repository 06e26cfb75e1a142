"""Cards of spectra over the numbers and of probes for what a row says of its number."""

from __future__ import annotations

import numpy as np

from numgeom import GeometrySpec
from numgeom_plugins.geometry.invariances import RIGID

_HERE = "numgeom_plugins.geometry"
_SHAPE = RIGID | {"permutation"}
_ABOVE = (0.0, np.inf)


def cards() -> list[GeometrySpec]:
    """The cards of this module.

    Examples
    --------
    >>> [card.name for card in cards()][:2]
    ['fourier_lines', 'spectral_background']
    """
    return [
        GeometrySpec(
            name="fourier_lines",
            default=6,
            summary="Power at the periods 2, 5, 10, 4, 20, 100 and controls beside the power around it and merge rank",
            target=f"{_HERE}.lines:FourierLines",
            reference="Fu et al. 2026, arXiv:2604.20817; Zhou et al. 2024, arXiv:2406.03445; Lomb 1976; Scargle 1982",
            version=2,
            params={"detrend": "none", "counts": "", "window": "none", "tapers": 0},
            range=_ABOVE,
            min_numbers=20,
            invariant_to=_SHAPE,
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="spectral_background",
            summary="Lines against a fitted Lorentzian-lattice background, each with its parametric-bootstrap p",
            target=f"{_HERE}.background:spectral_background",
            reference="Karkada et al. 2026, arXiv:2602.15029 (Lorentzian amplitudes)",
            params={"draws": 199, "seed": 0},
            min_numbers=200,
            needs_contiguous=True,
            invariant_to=_SHAPE,
            nulls=(),
        ),
        GeometrySpec(
            name="fisher_geometry",
            summary="Scatter between and within residue classes mod T: lambda_max with its bounds over r, trace ratios",
            target=f"{_HERE}.fisher:FisherGeometry",
            reference="Fu et al. 2026, arXiv:2604.20817; Ledoit & Wolf 2004 (shrinkage)",
            version=2,
            params={"components": 0, "seed": 0, "shrinkage": "none"},
            min_numbers=20,
            invariant_to=_SHAPE,
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="modular_probe",
            summary="Cohen's kappa of a linear probe for n mod T under random and block folds, with control tasks",
            target=f"{_HERE}.residues:ModularProbe",
            reference="Fu et al. 2026, arXiv:2604.20817; Hewitt & Liang 2019, arXiv:1909.03368",
            params={"components": 0, "classifier": "ridge", "seed": 0},
            range=(-2.0, 2.0),
            min_numbers=20,
            invariant_to=_SHAPE,
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="attribute_probe",
            summary="Cohen's kappa of linear probes for digits, multiples of 5, 10 and 100, primes and digit sums",
            target=f"{_HERE}.attributes:AttributeProbe",
            reference="Nikankin et al. 2024, arXiv:2410.21272",
            params={"seed": 0},
            range=(-1.0, 1.0),
            min_numbers=20,
            invariant_to=_SHAPE,
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="helix_fit",
            summary="R2 of line, log, polynomial, circle, helix, digits, DCT, in-sample and held out; what periods add",
            target=f"{_HERE}.helix:HelixFit",
            reference="Kantamneni & Tegmark 2025, arXiv:2502.00873",
            params={"seed": 0},
            min_numbers=20,
            invariant_to=_SHAPE,
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="residue_circle",
            summary="Whether class means mod T lie on a circle in order, their harmonics, and how reducible it is",
            target=f"{_HERE}.residue_circle:ResidueCircle",
            reference="Engels et al. 2024, arXiv:2405.14860; Kantamneni & Tegmark 2025, arXiv:2502.00873",
            params={"period": 10, "seed": 0},
            range=_ABOVE,
            min_numbers=50,
            invariant_to=_SHAPE,
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="circular_digit_probe",
            summary="Share of held-out numbers whose digits in bases 2 to 14 and 100 are read off circles",
            target=f"{_HERE}.circular_digits:CircularDigitProbe",
            reference="Levy & Geva 2025, arXiv:2410.11781",
            params={"seed": 0},
            range=(0.0, 1.0),
            min_numbers=20,
            invariant_to=_SHAPE,
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="sinusoidal_probe",
            summary="Share of held-out numbers found exactly by a bilinear match with a table of sinusoids",
            target=f"{_HERE}.sinusoidal_probe:SinusoidalProbe",
            reference="Kadlcik et al. 2025, arXiv:2506.08966",
            params={"width": 128, "folds": 20, "seed": 0},
            range=_ABOVE,
            min_numbers=40,
            invariant_to=_SHAPE,
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="value_probe",
            summary="Ridge regression to n and log n on random, block and extrapolation splits: R2, rank, exact share",
            target=f"{_HERE}.value_probe:ValueProbe",
            reference="Wallace et al. 2019, arXiv:1909.07940; Zhu, Dai & Sui 2025, arXiv:2401.03735",
            params={"seed": 0},
            min_numbers=20,
            invariant_to=_SHAPE,
            nulls=("row_permutation",),
        ),
    ]
