"""Cards of neighbour metrics beyond mutual nearest neighbours by cosine and by distance."""

from __future__ import annotations

from numgeom import ConvergenceSpec
from numgeom_plugins.convergence.invariances import ANGLES, HERE, INFINITY, SHAPE


def cards() -> list[ConvergenceSpec]:
    """Overlap, Jaccard index, cycles, common order, profiles and CKNNA."""
    huh = "Huh et al. 2024, arXiv:2405.07987"
    resi = "Klabunde et al. 2024, arXiv:2408.00531"
    by_neighbours = [
        (
            "mutual_knn_inner_product",
            "neighbourhoods:InnerProductMutualKNN",
            "share of common neighbours by inner product",
            huh,
        ),
        (
            "jaccard_knn_cosine",
            "neighbourhoods:CosineJaccardKNN",
            "Jaccard index of the nearest neighbours by cosine",
            resi,
        ),
        (
            "cycle_knn_inner_product",
            "neighbourhoods:CycleKNN",
            "share of numbers that neighbours of neighbours lead back to",
            huh,
        ),
        (
            "lcs_knn_inner_product",
            "neighbour_lists:LCSKNN",
            "longest common subsequence of the neighbour lists over k",
            huh,
        ),
        (
            "edit_knn_inner_product",
            "neighbour_lists:EditKNN",
            "one minus the edit distance of the neighbour lists over k",
            huh,
        ),
        ("rank_knn_cosine", "neighbour_lists:RankKNN", "shared neighbours by cosine, weighted by their ranks", resi),
        (
            "second_order_cosine",
            "neighbour_lists:SecondOrderCosine",
            "cosine of the distances to the neighbours of both models",
            resi,
        ),
    ]
    found = [
        ConvergenceSpec(
            name=name,
            summary=summary,
            target=f"{HERE}.{place}",
            reference=reference,
            params={"k": 10},
            range=(0.0, 1.0),
            symmetric=not name.startswith("cycle"),
            invariant_to=ANGLES,
            saturates=name == "second_order_cosine",
        )
        for name, place, summary, reference in by_neighbours
    ]
    found += [
        ConvergenceSpec(
            name="lcs_knn_length_inner_product",
            summary="length of the longest common subsequence of the neighbour lists",
            target=f"{HERE}.neighbour_lists:LCSLength",
            reference=huh,
            params={"k": 10},
            range=(0.0, INFINITY),
            invariant_to=ANGLES,
        ),
        ConvergenceSpec(
            name="jaccard_knn_euclidean",
            summary="Jaccard index of the nearest neighbours by Euclidean distance",
            target=f"{HERE}.neighbourhoods:EuclideanJaccardKNN",
            reference=resi,
            params={"k": 10},
            range=(0.0, 1.0),
            invariant_to=SHAPE,
        ),
        ConvergenceSpec(
            name="mutual_knn_clipped",
            summary="share of common neighbours by cosine after clipping outlying entries",
            target=f"{HERE}.neighbourhoods:ClippedMutualKNN",
            reference=huh,
            params={"k": 10, "quantile": 0.95},
            range=(0.0, 1.0),
            invariant_to=frozenset({"scale", "permutation"}),
        ),
    ]
    found += [
        ConvergenceSpec(
            name=name,
            summary=summary,
            target=f"{HERE}.cknna:{kind}",
            reference=huh,
            params={"k": 10},
            range=(-INFINITY, INFINITY),
            symmetric=name.endswith("biased"),
            invariant_to=ANGLES,
        )
        for name, kind, summary in (
            ("cknna_cosine", "CosineCKNNA", "unbiased CKA of cosines over common nearest neighbours"),
            ("cknna_inner_product", "CKNNA", "unbiased CKA of inner products over common nearest neighbours"),
            (
                "cknna_inner_product_biased",
                "BiasedCKNNA",
                "biased CKA of inner products over common neighbours and self",
            ),
        )
    ]
    return found
