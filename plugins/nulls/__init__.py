"""Nulls: what a score is held against."""

from __future__ import annotations

from collections.abc import Iterable

from numgeom import NullSpec, hookimpl

_HERE = "numgeom_plugins.nulls"


@hookimpl
def numgeom_nulls() -> Iterable[NullSpec]:
    """Row permutations, Gaussian clouds, random tokens and order modes."""
    return [
        NullSpec(
            name="row_permutation",
            summary="the same rows under shuffled numbers",
            target=f"{_HERE}.permutations:row_permutation",
            reference="Mantel 1967",
            keeps="the cloud",
            destroys="which number is which row",
            permutes_rows=True,
            claim="beyond chance",
            default=1,
        ),
        NullSpec(
            name="within_digit_length",
            summary="rows shuffled among numbers of as many digits",
            target=f"{_HERE}.permutations:within_digit_length",
            keeps="the cloud of each digit length",
            destroys="which number is which row among numbers of as many digits",
            permutes_rows=True,
            claim="beyond digit length",
        ),
        NullSpec(
            name="block_permutation",
            summary="blocks of consecutive numbers shuffled whole",
            target=f"{_HERE}.permutations:block_permutation",
            params={"block": 10},
            keeps="the cloud, and the order inside blocks",
            destroys="the order of the blocks",
            permutes_rows=True,
        ),
        NullSpec(
            name="order_modes",
            summary="random signs of the modes of an order basis, the smooth shape removed from both sides",
            target=f"{_HERE}.order_modes:OrderModes",
            params={"q": 20, "bases": ("n", "log")},
            keeps="order: the power of every mode, width, noise",
            destroys="what ties modes together: codes, digit classes, helices",
            claim="beyond order",
            warning="W-ORDER",
            default=2,
        ),
        NullSpec(
            name="iid_gaussian",
            summary="independent Gaussian rows of the same number, width and mean column variance",
            target=f"{_HERE}.gaussian:iid_gaussian",
            params={"narrow": True},
            reference="Bartlett 1933 (narrow form)",
            keeps="n, d and the mean column variance",
            destroys="all structure",
        ),
        NullSpec(
            name="covariance_gaussian",
            summary="independent Gaussian rows with the mean and the covariance of the rows",
            target=f"{_HERE}.gaussian:covariance_gaussian",
            keeps="mean and covariance, hence the spectrum up to sampling",
            destroys="which number is which row, and every shape beyond the covariance",
        ),
        NullSpec(
            name="random_tokens",
            summary="rows of random vocabulary entries that are not numbers",
            target=f"{_HERE}.vocabulary:random_tokens",
            keeps="the model, its anisotropy and its norms",
            destroys="number content",
            claim="beyond random tokens",
        ),
    ]
