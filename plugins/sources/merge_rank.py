"""The frequency control that needs only a tokenizer: the rank at which a vocabulary took a number in."""

from __future__ import annotations

import numpy as np

from numgeom import ModelSpec, NumberSet, Representation
from numgeom_plugins.sources.opening import tokenizer_of


def read_merge_rank(model: ModelSpec, numbers: NumberSet, *, read: str) -> Representation:
    """``log(id + 1)`` of every number that is one token.

    The ids of a byte-pair vocabulary are, but for an offset, the order of its merges: frequency ranks in the
    tokenizer's training corpus. WordPiece and unigram vocabularies are sorted by frequency or score. No corpus and
    no weights are needed.

    Parameters
    ----------
    model : ModelSpec
        Anything with a tokenizer.
    numbers : NumberSet
    read : {"merge_rank"}

    Returns
    -------
    Representation
        ``(n, 1)`` float64, with the same for random tokens as random rows.

    Raises
    ------
    TokenizerError
        If the model has no tokenizer.
    SourceError
        If no number is one token.

    References
    ----------
    science.md section 1.5 (ours); the need for it: Fu et al. 2026, arXiv:2604.20817.

    Examples
    --------
    >>> rep = read_merge_rank(ModelSpec(name="m", source="demo", id="llama_a"), NumberSet.parse("0..9"),
    ...                       read="merge_rank")
    >>> rep.matrix.shape, float(np.exp(rep.matrix[7, 0]).round())
    ((10, 1), 12.0)
    """
    from numgeom_plugins.sources.control import control_ids
    from numgeom_plugins.sources.tokenizers import no_number, number_token_ids, vocabulary_digest

    tokenizer = tokenizer_of(model)
    values, ids = number_token_ids(tokenizer, numbers)
    if not values.size:
        raise no_number(tokenizer, numbers)
    random_ids = control_ids(tokenizer, ids, tokenizer.vocab_size)
    return Representation(
        np.log(ids[:, None] + 1.0),
        values,
        token_ids=ids,
        provenance={
            "tokenizer": tokenizer.name,
            "tokenizer_digest": vocabulary_digest(tokenizer),
            "random_token_ids": random_ids.tolist(),
            "form": numbers.form,
            "notes": [*tokenizer.notes],
        },
        random_rows=np.log(random_ids[:, None] + 1.0) if random_ids.size else None,
    )
