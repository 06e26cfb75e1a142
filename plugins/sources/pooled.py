"""One row for a number of several tokens: its pieces' input rows, pooled."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom import (
    Incompatible,
    MeasurementWarning,
    ModelSpec,
    NumberSet,
    Representation,
    SourceError,
    Tokenizer,
    TokenizerError,
)
from numgeom.errors import UnknownName
from numgeom_plugins.sources.control import SEED, control_ids
from numgeom_plugins.sources.opening import InputTable, input_table, tokenizer_of

F64 = npt.NDArray[np.float64]
HEAD = "pooled:"
BASE = 10.0


@dataclass(frozen=True, slots=True)
class Spelling:
    """The tokens that write a number, white space left out.

    Attributes
    ----------
    number : int
    ids : tuple of int
    places : tuple of int
        How many digits stand to the right of each token.
    """

    number: int
    ids: tuple[int, ...]
    places: tuple[int, ...]


def read_pooled(model: ModelSpec, numbers: NumberSet, *, read: str, tensor: str = "") -> Representation:
    """Pooled input rows of every number that the tokenizer spells, in however many tokens.

    With rows ``x_1 ... x_k`` of a number's tokens from left to right, and ``p_j`` digits to the right of token j:

    - ``pooled:mean`` is ``(x_1 + ... + x_k) / k``, ``pooled:sum`` the sum: neither knows the order of the digits, so
      that 12 and 21 of a model that writes digit by digit have one row (W-DUP);
    - ``pooled:first`` and ``pooled:last`` are ``x_1`` and ``x_k``;
    - ``pooled:positional`` is the positional sum ``10^p_1 x_1 + ... + 10^p_k x_k``. A linear code of digits,
      ``x(digit) = digit * v``, becomes the linear code of numbers ``n * v``, for every way to cut n into tokens.

    Of a number that is one token all five are the row of the source ``input``.

    Parameters
    ----------
    model : ModelSpec
        A checkpoint folder, here or behind an address, a hub model, a demo model or a GGUF file.
    numbers : NumberSet
    read : {"pooled:mean", "pooled:last", "pooled:first", "pooled:sum", "pooled:positional"}
    tensor : str, optional
        Name of the tensor, where it cannot be found from config and shapes.

    Returns
    -------
    Representation
        ``(n, d)`` in the stored precision (float64 where rows were added). ``token_ids`` are those of the last
        tokens. A random row pools as many random tokens as some number has. W-TOKENFORM where numbers of one and of
        several tokens stand in one matrix; W-POOLED where any has several: rows put together from shared pieces agree
        between models of random weights too, beyond order, so such pairs get no verdict.

    Raises
    ------
    SourceError
        If no number is spelled by the tokenizer, or the rows cannot be read.
    Incompatible
        If a positional sum is asked of negative numbers: a sign has no place.

    Examples
    --------
    >>> model = ModelSpec(name="m", source="demo", id="llama_bpe")
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", MeasurementWarning)
    ...     rep = read_pooled(model, NumberSet.parse("0..999"), read="pooled:mean")
    >>> rep.n, rep.provenance["most_pieces"] > 1
    (1000, True)
    """
    pool = _pool(read)
    if read == f"{HEAD}positional" and numbers.values[0] < 0:
        raise Incompatible(f"{read} has no place for a sign; choose numbers from 0 with --numbers, or {HEAD}mean.")
    tokenizer = tokenizer_of(model)
    spelled = spell_all(tokenizer, numbers)
    if not spelled:
        example = numbers.text(numbers.values[0])
        raise SourceError(
            f"no number of {numbers.spec} is spelled by the tokenizer of {model.name}: {example!r} is written with "
            "unknown tokens or joined with its template; choose other numbers or another form with --numbers."
        )
    table = input_table(model, tokenizer, tensor)
    for one in spelled:
        if max(one.ids) >= table.count:
            raise SourceError(
                f"number {one.number} has token id {max(one.ids)}, but {table.tensor!r} of {table.where} has only "
                f"{table.count} rows: tokenizer and weights do not belong together; put the model's own there."
            )
    counts = np.asarray([len(one.ids) for one in spelled])
    _warn(counts)
    control = _controls(tokenizer, spelled, table, counts)
    rows = _pooled([*spelled, *control], table, pool)
    random_rows = rows[len(spelled) :]
    whole = np.isfinite(random_rows).all(axis=1)
    from numgeom_plugins.sources.tokenizers import vocabulary_digest

    return Representation(
        rows[: len(spelled)],
        np.asarray([one.number for one in spelled], dtype=np.int64),
        token_ids=np.asarray([one.ids[-1] for one in spelled], dtype=np.int64),
        provenance={
            **table.provenance,
            "tensor": table.tensor,
            "dtype": table.dtype,
            "pooling": read.removeprefix(HEAD),
            "most_pieces": int(counts.max()),
            "tokenizer": tokenizer.name,
            "tokenizer_digest": vocabulary_digest(tokenizer),
            "random_token_ids": [one.ids[-1] for one, kept in zip(control, whole, strict=True) if kept],
            "form": numbers.form,
            "notes": [*table.notes, *tokenizer.notes],
        },
        random_rows=random_rows[whole] if whole.any() else None,
    )


def spell_all(tokenizer: Tokenizer, numbers: NumberSet) -> list[Spelling]:
    """The numbers whose tokens together are their digits; those joined with a template or unknown are left out.

    Examples
    --------
    >>> from numgeom.testing.tokenizer import FakeTokenizer
    >>> spell_all(FakeTokenizer(single=[12]), NumberSet.parse("12,345"))[1].places
    (2, 1, 0)
    """
    from numgeom_plugins.sources.tokenizers.selection import spells

    found = []
    for number in numbers:
        try:
            ids = tokenizer.encode_number(number, numbers.template)
        except TokenizerError:
            continue
        if not spells(tokenizer, ids, number):
            continue
        inked = [(token, text) for token in ids if (text := tokenizer.token_text(token).strip())]
        digits = np.cumsum([sum(sign.isdigit() for sign in text) for _, text in reversed(inked)])
        places = [0, *digits[:-1].tolist()][::-1]
        found.append(Spelling(number, tuple(token for token, _ in inked), tuple(places)))
    return found


def _pool(read: str) -> Callable[[npt.NDArray[np.float64], Sequence[int]], F64]:
    """How rows ``(k, d)`` at places become one."""
    ways: dict[str, Callable[[F64, Sequence[int]], F64]] = {
        "mean": lambda rows, places: np.asarray(rows.mean(axis=0)),
        "last": lambda rows, places: rows[-1],
        "first": lambda rows, places: rows[0],
        "sum": lambda rows, places: np.asarray(rows.sum(axis=0)),
        "positional": lambda rows, places: np.asarray(BASE ** np.asarray(places) @ rows),
    }
    name = read.removeprefix(HEAD)
    if name not in ways:
        raise UnknownName("pooling", name, ways)
    return ways[name]


def _pooled(
    words: Sequence[Spelling], table: InputTable, pool: Callable[[F64, Sequence[int]], F64]
) -> npt.NDArray[Any]:
    ids = np.unique(np.concatenate([one.ids for one in words])).astype(np.int64)
    stored = table.read(ids)
    row_of = {int(token): place for place, token in enumerate(ids)}
    wide = np.asarray(stored, dtype=np.float64)
    rows = np.stack([pool(wide[[row_of[token] for token in one.ids]], one.places) for one in words])
    # Rows that were only chosen keep their stored precision.
    exact = rows.astype(stored.dtype)
    return exact if np.array_equal(exact, rows, equal_nan=True) else rows


def _controls(
    tokenizer: Tokenizer, spelled: Sequence[Spelling], table: InputTable, counts: npt.NDArray[np.int64]
) -> list[Spelling]:
    """Random tokens, each the last of as many as some number has pieces."""
    ids = np.unique(np.concatenate([one.ids for one in spelled])).astype(np.int64)
    drawn = control_ids(tokenizer, ids, table.count)
    rng = np.random.default_rng(SEED)
    found = []
    for token, like in zip(drawn.tolist(), rng.integers(len(spelled), size=len(drawn)), strict=True):
        others = rng.choice(drawn, size=int(counts[like]) - 1).tolist()
        found.append(Spelling(-1, (*others, token), spelled[like].places))
    return found


def _warn(counts: npt.NDArray[np.int64]) -> None:
    alone = int((counts == 1).sum())
    if alone < counts.size:
        text = "numbers that share digits share pieces, in every model that cuts them alike"
        warnings.warn(MeasurementWarning("W-POOLED", text), stacklevel=3)
    if 0 < alone < counts.size:
        text = f"{alone} of {counts.size} numbers are one token, the others up to {counts.max()}"
        warnings.warn(MeasurementWarning("W-TOKENFORM", text), stacklevel=3)
