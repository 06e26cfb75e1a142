"""Nulls: what a score is held against."""

from __future__ import annotations

from collections.abc import Iterable

from numgeom import NullSpec, hookimpl

_HERE = "numgeom_plugins.nulls"


@hookimpl
def numgeom_nulls() -> Iterable[NullSpec]:
    """Row permutations, series nulls, order modes, smooth surrogates, Gaussian clouds and random tokens."""
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
            target=f"{_HERE}.strata:within_digit_length",
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
            name="within_decade",
            summary="rows shuffled inside each decade of numbers",
            target=f"{_HERE}.strata:within_decade",
            keeps="the cloud of each decade, hence magnitude to the decade",
            destroys="which number is which row inside a decade, hence the last digit",
            permutes_rows=True,
            claim="beyond the decade",
        ),
        NullSpec(
            name="within_last_digit",
            summary="rows shuffled among numbers that end in the same digit",
            target=f"{_HERE}.strata:within_last_digit",
            keeps="the cloud of each last digit, hence parity and the residue modulo 5",
            destroys="which number is which row among numbers of one last digit, hence magnitude",
            permutes_rows=True,
            claim="beyond the last digit",
        ),
        NullSpec(
            name="circular_shift",
            summary="rows moved along the numbers by a random number of places; for series without trend only",
            target=f"{_HERE}.series:circular_shift",
            reference="Theiler et al. 1992",
            keeps="the cloud, and the order of the rows up to the seam",
            destroys="which number is which row, but for shifts by the period of a code",
            permutes_rows=True,
        ),
        NullSpec(
            name="phase_randomisation",
            summary="a random phase at every frequency along the numbers, the same in all columns; without trend only",
            target=f"{_HERE}.series:phase_randomisation",
            reference="Theiler et al. 1992; Prichard & Theiler 1994",
            keeps="the power spectrum of every column and the cross-spectra between columns",
            destroys="phase relations between frequencies, and the end points",
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
            name="smooth_surrogate",
            summary="curves with the lag profile of the rows in random directions: an effect size, not a test",
            target=f"{_HERE}.smooth:SmoothSurrogate",
            params={"index": "n", "tolerance": 0.1},
            reference="Matheron 1963 (variogram and nugget)",
            keeps="smoothness, order, width and noise: the lag profile, the share of PC1 and k_90",
            destroys="everything else: digits, codes, directions",
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
        NullSpec(
            name="random_tokens_norm_matched",
            summary="rows of random vocabulary entries that are not numbers, each as long as the number's own row",
            target=f"{_HERE}.norms:RandomTokensNormMatched",
            params={"tolerance": 0.1},
            keeps="the model, its anisotropy, and the norm of every number's row",
            destroys="number content other than norms",
            claim="beyond norms",
        ),
    ]
