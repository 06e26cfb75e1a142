"""The cards of the convergence metrics that know the rows belong to numbers."""

from __future__ import annotations

from numgeom import ConvergenceSpec

_HERE = "numgeom_plugins.convergence"
_SHAPE = frozenset({"orthogonal", "scale", "translation", "permutation"})


def cards() -> list[ConvergenceSpec]:
    """Overlap of spectra, band-resolved CKA, and transfer of a learned map to numbers that were held out.

    Examples
    --------
    >>> [card.name for card in cards()][-2:]
    ['transfer_value_error', 'transfer_digit_error']
    """
    return [
        ConvergenceSpec(
            name="spectrum_iou",
            summary="overlap of the frequencies along the numbers with most power; high for any smooth decimal signal",
            target=f"{_HERE}.spectrum_overlap:SpectrumIoU",
            reference="Stefanik et al. 2025, arXiv:2510.26285",
            params={"top": 0},
            range=(0.0, 1.0),
            invariant_to=_SHAPE,
            min_numbers=20,
        ),
        *(
            ConvergenceSpec(
                name=f"cka_band_{band}",
                summary=f"debiased CKA inside one band of frequencies along the numbers: {words}",
                target=f"{_HERE}.bands:{target}",
                range=(-1.0, 1.0),
                invariant_to=_SHAPE,
                min_numbers=100,
            )
            for band, target, words in (
                ("t2", "BandT2", "period 2, parity"),
                ("t5", "BandT5", "period 5"),
                ("t10", "BandT10", "period 10 without 2 and 5"),
                ("low", "BandLow", "the ten smoothest order modes"),
                ("rest", "BandRest", "all but periods 2, 5, 10 and the ten smoothest order modes"),
            )
        ),
        *(
            ConvergenceSpec(
                name=f"transfer_{measure}",
                summary=f"{words} of held-out numbers looked up by cosine after orthogonal Procrustes on the others",
                target=f"{_HERE}.transfer:{target}",
                reference="Schonemann 1966; Conneau et al. 2018, arXiv:1710.04087",
                params={"components": 100, "folds": 10, "seed": 0},
                range=(0.0, 1.0),
                invariant_to=_SHAPE,
                min_numbers=10,
            )
            for measure, target, words in (
                ("top1", "TransferTop1", "share at rank 1"),
                ("mrr", "TransferMRR", "mean reciprocal rank"),
            )
        ),
        *(
            ConvergenceSpec(
                name=f"transfer_{measure}_error",
                summary=f"{words} of held-out numbers looked up by cosine after orthogonal Procrustes on the others",
                target=f"{_HERE}.transfer:{target}",
                reference="Schonemann 1966; Conneau et al. 2018, arXiv:1710.04087",
                params={"components": 100, "folds": 10, "seed": 0},
                direction="lower_is_closer",
                range=(0.0, float("inf")),
                invariant_to=_SHAPE,
                min_numbers=10,
            )
            for measure, target, words in (
                ("value", "TransferValueError", "mean distance in value between find and truth"),
                ("digit", "TransferDigitError", "mean number of decimal digits in which find and truth differ"),
            )
        ),
    ]
