"""Cards of what judges a reduction, and of the arch that every smooth curve shows."""

from __future__ import annotations

import numpy as np

from numgeom import GeometrySpec
from numgeom_plugins.geometry.invariances import RIGID


def cards() -> list[GeometrySpec]:
    """The cards of this module."""
    return [
        GeometrySpec(
            name="arch",
            summary="Whether the leading components are those of any smooth curve: cosines, PC2 a square of PC1",
            reference="Diaconis, Goel & Holmes 2008, arXiv:0811.1477; Antognini & Sohl-Dickstein 2018",
            target="numgeom_plugins.geometry.arch:arch",
            range=(0.0, 1.0),
            min_numbers=10,
            invariant_to=RIGID | {"permutation"},
            nulls=("row_permutation",),
        ),
        GeometrySpec(
            name="fidelity",
            summary="What a reduction kept: neighbours (trustworthiness, continuity, R_NX), distances, order",
            reference="Venna & Kaski 2006; Lee & Verleysen 2009; Kruskal 1964",
            target="numgeom_plugins.geometry.fidelity:fidelity",
            params={"neighbours": 10},
            range=(-1.0, np.inf),
            # Not to rotations of the picture: order_spearman is a maximum over its axes.
            invariant_to=frozenset({"scale", "translation", "permutation"}),
            nulls=("random_tokens", "row_permutation"),
            of_reduction=True,
        ),
    ]
