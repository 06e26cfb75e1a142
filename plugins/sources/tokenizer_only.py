"""Models that are a tokenizer alone: probes can look at them, and there are no rows."""

from __future__ import annotations

from typing import NoReturn

from numgeom import ModelSpec, NumberSet, SourceError


def refuse(model: ModelSpec, numbers: NumberSet, *, read: str) -> NoReturn:
    """There are no rows to read.

    Raises
    ------
    SourceError
        Always.

    Examples
    --------
    >>> model = ModelSpec(name="t", source="tokenizer", id="t.json")
    >>> refuse(model, NumberSet.parse("0..9"), read="input")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    SourceError: t (tokenizer:t.json) is a tokenizer without weights
    """
    raise SourceError(
        f"{model.name} (tokenizer:{model.id}) is a tokenizer without weights, so it has no rows for {len(numbers)} "
        f"numbers; type numgeom probe {model.name}, or give a checkpoint folder."
    )
