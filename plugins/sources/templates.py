"""Texts around a number: which there are, and which tokens of a text are the number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from numgeom import NumberSet, SourceError
from numgeom.numbers import BARE, FORMS

BETWEEN = "|"


@dataclass(frozen=True, slots=True)
class Written:
    """A number in a text, as a model is given it.

    Attributes
    ----------
    number : int
    inputs : dict of str to list of int
        What the tokenizer gives for the text, special tokens included: ``input_ids`` and its companions.
    span : (int, int)
        The first and the last token of the number.
    pieces : int
        How many of these tokens hold a digit or the sign.
    lone_space : bool
        Whether the tokenizer put a space of its own before the number.
    """

    number: int
    inputs: dict[str, list[int]]
    span: tuple[int, int]
    pieces: int
    lone_space: bool

    @property
    def ids(self) -> list[int]:
        """Token ids of the text."""
        return self.inputs["input_ids"]


def parse_templates(text: str | Sequence[str], numbers: NumberSet) -> dict[str, str]:
    """Templates by the name that they have in tables.

    Parameters
    ----------
    text : str or sequence of str
        ``"bare|space|{n}+"``, or the templates one by one; nothing for the form of the number set.
    numbers : NumberSet

    Returns
    -------
    dict of str to str
        Name to template: ``{"space": " {n}", "{n}+": "{n}+"}``.

    Raises
    ------
    SourceError
        If a template does not hold ``{n}`` once, one is named twice, or the number set has a form of its own.

    Examples
    --------
    >>> parse_templates("space|{n}+", NumberSet.parse("0..9"))
    {'space': ' {n}', '{n}+': '{n}+'}
    >>> parse_templates("", NumberSet.parse("0..9@={n}"))
    {'={n}': '={n}'}
    """
    named = text.split(BETWEEN) if isinstance(text, str) else list(text)
    if not any(named):
        return {numbers.form: numbers.template}
    if numbers.template != BARE:
        raise SourceError(
            f"both the number set (@{numbers.form}) and templates={BETWEEN.join(named)} say how numbers are written; "
            "leave one of them out."
        )
    found: dict[str, str] = {}
    for name in named:
        template = FORMS.get(name, name)
        name = next((form for form, known in FORMS.items() if known == template), name)
        if template.count("{n}") != 1:
            raise SourceError(
                f"template {template!r} must hold {{n}} exactly once; write templates=bare{BETWEEN}space{BETWEEN}{{n}}+"
            )
        if name in found:
            raise SourceError(f"template {template!r} is named twice; name it once.")
        found[name] = template
    return found


def write_all(tokenizer: Any, numbers: Iterable[int], template: str) -> list[Written]:
    """The numbers that a tokenizer writes legibly in a template.

    Left out are numbers that share a token with the text around them (a space before them aside), or that the
    tokenizer writes with its unknown token.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase
    numbers : iterable of int
    template : str

    Returns
    -------
    list of Written
    """
    values = list(numbers)
    texts = [template.replace("{n}", str(value)) for value in values]
    fast = bool(tokenizer.is_fast)
    # Files may switch padding and truncation on; a measurement wants the text as it is.
    encoded = tokenizer(texts, padding=False, truncation=False, return_offsets_mapping=fast)
    offsets = encoded.pop("offset_mapping") if fast else None
    start = template.index("{n}")
    found = []
    for row, value in enumerate(values):
        inputs = {name: list(column[row]) for name, column in encoded.items()}
        stop = start + len(str(value))
        spans = offsets[row] if offsets is not None else _counted(tokenizer, inputs["input_ids"], texts[row])
        touched = [i for i, (a, b) in enumerate(spans) if a < stop and b > start]
        if not touched or _is_blurred(texts[row], spans, touched, start, stop):
            continue
        ids = [inputs["input_ids"][i] for i in touched]
        if tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids:
            continue
        names = [str(name) for name in tokenizer.convert_ids_to_tokens(ids)]
        inked = [bool(name.strip("\u2581\u0120 ")) for name in names]
        if any(inked):
            # A space of the text stands before the number; one that the tokenizer adds stands nowhere.
            added = names[0].startswith("\u2581") and not texts[row][:start].endswith(" ")
            span = (touched[inked.index(True)], touched[-1])
            found.append(Written(value, inputs, span, sum(inked), added))
    return found


def _is_blurred(text: str, spans: Sequence[tuple[int, int]], touched: Sequence[int], start: int, stop: int) -> bool:
    """Whether a token of the number reaches into the text around it."""
    first, last = min(spans[i][0] for i in touched), max(spans[i][1] for i in touched)
    return bool(text[first:start].strip()) or last > stop


def _counted(tokenizer: Any, ids: Sequence[int], text: str) -> list[tuple[int, int]]:
    """Where each token lies in a text, for tokenizers that do not say: by what the tokens up to it decode to."""
    ink = [place for place, character in enumerate(text) if not character.isspace()]
    spans: list[tuple[int, int]] = []
    before = 0
    for count in range(1, len(ids) + 1):
        decoded = tokenizer.decode(ids[:count], skip_special_tokens=True)
        after = min(sum(not character.isspace() for character in decoded), len(ink))
        spans.append((ink[before], ink[after - 1] + 1) if after > before else (0, 0))
        before = max(before, after)
    return spans
