"""Cards of representational similarity analysis: dissimilarities times comparisons."""

from __future__ import annotations

from typing import Any, NamedTuple

from numgeom import ConvergenceSpec
from numgeom_plugins.convergence.invariances import ANGLES, COLUMNS, HERE, INFINITY, SHAPE, SIZED


class Compared(NamedTuple):
    """One way to compare two RDMs."""

    name: str
    words: str
    lowest: float = -1.0
    saturates: bool = False


PEARSON = Compared("pearson", "Pearson correlation")
SPEARMAN = Compared("spearman", "Spearman correlation")
RANKS = (
    Compared("kendall", "Kendall's tau-b"),
    Compared("tau_a", "Kendall's tau-a"),
    Compared("rho_a", "Spearman's rho-a"),
)
COSINE = Compared("cosine", "cosine (any two RDMs score high)", 0.0, saturates=True)
WHITENED = (
    Compared("whitened_pearson", "whitened Pearson correlation"),
    Compared("whitened_cosine", "whitened cosine", saturates=True),
)
MORE = (*RANKS, COSINE, *WHITENED)

ROWS = frozenset({"scale", "permutation"})
GRID = (
    ("euclidean", "Euclidean distances", SHAPE, MORE),
    ("sqeuclidean", "squared Euclidean distances", SHAPE, (PEARSON, COSINE, WHITENED[0])),
    ("cosine", "cosine distances", ANGLES, MORE),
    ("correlation", "correlation distances over the columns", ROWS, (PEARSON, SPEARMAN, *MORE)),
    ("correlation_centred", "correlation distances of centred rows", COLUMNS, (PEARSON, SPEARMAN, *MORE)),
    ("gaussian", "Gaussian distances", SHAPE, (PEARSON, COSINE, *WHITENED)),
)


def cards() -> list[ConvergenceSpec]:
    """Every comparison of every RDM that the default cards do not have, and distances of RDMs."""
    source = "Kriegeskorte, Mur & Bandettini 2008; Schutt et al. 2023, arXiv:2112.09200"
    bures = "Harvey, Larsen & Williams 2024, arXiv:2311.11436"
    resi = "Klabunde et al. 2024, arXiv:2408.00531"
    found = [
        ConvergenceSpec(
            name=f"rsa_{compared.name}_{rdm}",
            summary=f"{compared.words} of the {words} of all pairs of numbers",
            target=f"{HERE}.rdm:rsa_{compared.name}_{rdm}",
            reference=source,
            range=(compared.lowest, 1.0),
            invariant_to=invariant_to,
            saturates=compared.saturates,
        )
        for rdm, words, invariant_to, comparisons in GRID
        for compared in comparisons
    ]
    lengths: dict[str, Any] = {"direction": "lower_is_closer", "range": (0.0, INFINITY)}
    found += [
        *(
            ConvergenceSpec(
                name=f"rsa_l2_{rdm}",
                summary=f"Euclidean distance of the {words} of all pairs of numbers",
                target=f"{HERE}.rdm:rsa_l2_{rdm}",
                reference=resi,
                invariant_to=invariant_to,
                **lengths,
            )
            for rdm, words, invariant_to, _ in GRID
            # Of distances it is rsm_norm_difference_frobenius over the root of 2.
            if rdm not in ("euclidean", "sqeuclidean")
        ),
        ConvergenceSpec(
            name="rsa_bures_correlation",
            summary="Bures similarity of the kernels of correlation distances",
            target=f"{HERE}.shape:CorrelationBures",
            reference=bures,
            range=(0.0, 1.0),
            invariant_to=ROWS,
            saturates=True,
        ),
        ConvergenceSpec(
            name="rsa_bures_distance_correlation",
            summary="Bures distance of the kernels of correlation distances",
            target=f"{HERE}.shape:CorrelationBuresDistance",
            reference=bures,
            invariant_to=ROWS,
            saturates=True,
            **lengths,
        ),
        ConvergenceSpec(
            name="rsa_bures_distance_sqeuclidean",
            summary="Bures distance of the kernels of squared Euclidean distances per column",
            target=f"{HERE}.shape:SquaredEuclideanBures",
            reference=bures,
            invariant_to=SIZED,
            is_distance=True,
            **lengths,
        ),
        *(
            ConvergenceSpec(
                name=f"rsm_norm_difference_{norm}",
                summary=f"{norm.capitalize()} norm of the difference of the Euclidean distance matrices",
                target=f"{HERE}.descriptors:{norm.capitalize()}NormDifference",
                reference=reference,
                invariant_to=SIZED,
                is_distance=True,
                **lengths,
            )
            for norm, reference in (("spectral", resi), ("frobenius", "Yin & Shen 2018, arXiv:1812.04224"))
        ),
    ]
    return found
