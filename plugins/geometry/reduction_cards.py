"""Cards of what judges a reduction, of its components, and of the arch that every smooth curve shows."""

from __future__ import annotations

import numpy as np

from numgeom import GeometrySpec
from numgeom_plugins.geometry.invariances import RIGID

EXPLAINED = {"arch_explained": {1.0: "yes", 0.5: "partly", 0.0: "no"}}


def cards() -> list[GeometrySpec]:
    """The cards of this module."""
    return [
        GeometrySpec(
            name="arch",
            default=5,
            summary="Whether the leading components are those of any smooth curve: cosines, PC2 a square of PC1",
            reference="Diaconis, Goel & Holmes 2008, arXiv:0811.1477; Antognini & Sohl-Dickstein 2018",
            target="numgeom_plugins.geometry.arch:Arch",
            words=EXPLAINED,
            version=2,
            range=(0.0, np.inf),
            min_numbers=10,
            invariant_to=RIGID | {"permutation"},
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="fidelity",
            summary="What a reduction kept: neighbours (trustworthiness, continuity, R_NX), distances, order, seeds",
            reference="Venna & Kaski 2006; Lee & Verleysen 2009; Kruskal 1964",
            target="numgeom_plugins.geometry.fidelity:fidelity",
            version=2,
            params={"neighbours": 10, "seeds": 5},
            range=(-1.0, np.inf),
            # Not to rotations of the picture: order_spearman is a maximum over its axes.
            invariant_to=frozenset({"scale", "translation", "permutation"}),
            nulls=("random_tokens", "row_permutation"),
            of_reduction=True,
        ),
        GeometrySpec(
            name="arch_verdict",
            summary="Whether smoothness alone explains a reduction: 1 yes, 0.5 partly, 0 no, and the numbers behind it",
            reference="Diaconis, Goel & Holmes 2008, arXiv:0811.1477; Podani & Miklos 2002",
            target="numgeom_plugins.geometry.arch_verdict:arch_verdict",
            words=EXPLAINED,
            range=(0.0, np.inf),
            min_numbers=10,
            invariant_to=RIGID | {"permutation"},
            nulls=("row_permutation",),
            of_reduction=True,
        ),
        GeometrySpec(
            name="component_correlation",
            summary="Correlations of the axes of a reduction beside the formula that explains uncentred components",
            target="numgeom_plugins.geometry.component_correlation:component_correlation",
            params={"components": 5},
            invariant_to=frozenset({"scale", "permutation"}),
            nulls=(),
            of_reduction=True,
        ),
        GeometrySpec(
            name="explained_variance",
            summary="Share of the variance in each principal component, and in all up to it",
            reference="Pearson 1901; Cattell 1966 (scree)",
            target="numgeom_plugins.geometry.explained_variance:explained_variance",
            params={"components": 10},
            range=(0.0, 1.0),
            invariant_to=RIGID | {"permutation"},
            nulls=("iid_gaussian", "random_tokens"),
            rows_only=True,
        ),
    ]
