"""The residual stream of a model at the last token of each number, all layers in one pass."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom import MeasurementWarning, ModelSpec, NumberSet, Representation, SourceError, TokenizerError
from numgeom.errors import UnknownName
from numgeom_plugins.sources.opening import config_folder, tokenizer_of, whole_folder
from numgeom_plugins.sources.templates import Written, parse_templates, write_all

HEAD = "hidden:"
BLOCK_SIDES = ("after", "before")
HALF = ("bfloat16", "float16")
NOTHING: Callable[[str, int, int], None] = lambda what, done, total: None  # noqa: E731


class HiddenStates:
    """The source ``hidden``: ``hidden:0`` is the embedding output, ``hidden:k`` the output of block ``k`` of 1..L.

    Each number is written into a text, the model's own tokenizer adds its special tokens, and the row is the
    residual stream at the last token of the number. Texts of one length are run together, so nothing is padded.
    With the defaults a row is, to the last bit, what ``model(**inputs, output_hidden_states=True)`` gives there for
    the same texts in the same batch: the last layer is then behind the model's final norm where it has one. Of
    models with an encoder and a decoder the encoder is read.
    """

    def __call__(
        self,
        model: ModelSpec,
        numbers: NumberSet,
        *,
        read: str,
        templates: str | Sequence[str] = "",
        block: str = "after",
        final_norm: bool = True,
        device: str = "auto",
        dtype: str = "float32",
        batch: int = 64,
        controls: int = 1000,
        trust_remote_code: bool = False,
    ) -> Representation:
        """One layer.

        Parameters
        ----------
        model : ModelSpec
            A checkpoint folder, a demo model or a hub model.
        numbers : NumberSet
            Its form is the text, unless ``templates`` are given. A number that shares a token with the text
            around it has no row.
        read : str
            ``hidden:6``.
        templates : str or sequence of str
            Texts holding ``{n}``, with ``|`` between: ``bare|space|{n}+``. The rows are then the mean over the
            templates; those of each are kept beside it, as ``hidden:6(templates={n}+)``.
        block : {"after", "before"}
            Whether ``hidden:k`` is the output or the input of block ``k``.
        final_norm : bool
            False for the last layer as its block gives it, before the final norm.
        device : str
            ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto`` for the first of cuda, mps and cpu that is there.
        dtype : {"float32", "float64", "bfloat16", "float16"}
            Of weights and activations (W-DTYPE where it is half precision).
        batch : int
            Texts at once.
        controls : int
            How many random tokens, each in the place of a number, become the random rows: up to 1000, 0 for none.
        trust_remote_code : bool
            Whether Python files of the checkpoint may run: only among the model's own params in registry.toml.

        Returns
        -------
        Representation
            ``(n, d)`` float32 (float64 where dtype is, and for means over templates). W-TOKENFORM where numbers of
            one and of several tokens stand in one matrix, or the tokenizer adds a space of its own.

        Raises
        ------
        SourceError
            If the model cannot be run, lacks the layer, or gives NaN or infinity.

        References
        ----------
        Kantamneni & Tegmark 2025, arXiv:2502.00873 (helix in the residual stream).

        Examples
        --------
        >>> model = ModelSpec(name="m", source="demo", id="llama_a")
        >>> rep = read_hidden(model, NumberSet.parse("0..9"), read="hidden:2", controls=0)
        >>> rep.matrix.shape, rep.provenance["final_norm"]
        ((10, 96), True)
        """
        found = self.read_many(
            model,
            numbers,
            reads=[read],
            templates=templates,
            block=block,
            final_norm=final_norm,
            device=device,
            dtype=dtype,
            batch=batch,
            controls=controls,
            trust_remote_code=trust_remote_code,
        )
        return next(rep for name, changed, rep in found if name == read and not changed)

    def readings(self, model: ModelSpec, *, block: str = "after", **params: Any) -> list[str]:
        """All layers that the config of a model names.

        Raises
        ------
        SourceError
            If the config does not say how many blocks there are.
        """
        from numgeom_plugins.sources.stack import block_count, read_config

        code = _code(model, bool(params.get("trust_remote_code", False)))
        count = block_count(read_config(model.name, config_folder(model), code=code))
        if count is None:
            raise SourceError(f"{model.name}: its config does not say how many blocks it has; write --layers 0..12.")
        return [f"{HEAD}{layer}" for layer in range(int(block == "before"), count + 1)]

    def read_many(
        self,
        model: ModelSpec,
        numbers: NumberSet,
        *,
        reads: Sequence[str],
        templates: str | Sequence[str],
        block: str,
        final_norm: bool,
        device: str,
        dtype: str,
        batch: int,
        controls: int,
        trust_remote_code: bool,
        progress: Callable[[str, int, int], None] = NOTHING,
    ) -> Iterator[tuple[str, dict[str, Any], Representation]]:
        """Several layers of one pass, each with the parameters by which it differs; layers not there are left out.

        Raises
        ------
        SourceError
            As for one; of unknown layers only if none is known.
        """
        if block not in BLOCK_SIDES:
            raise UnknownName("side of a block", block, BLOCK_SIDES)
        if batch < 1 or controls < 0:
            raise SourceError(f"batch must be 1 or more and controls 0 or more; got {batch} and {controls}.")
        # A layer of this source is an index of output_hidden_states; the input of block k is the output of k - 1.
        layers = {read: _layer(read) - int(block == "before") for read in reads}
        texts = parse_templates(templates, numbers)
        from numgeom_plugins.sources.stack import Stack, block_count, read_config, read_tokenizer

        code = _code(model, trust_remote_code)
        count = block_count(read_config(model.name, config_folder(model), code=code))
        if count is not None:
            layers = _those_there(model, layers, count, block)
        folder = whole_folder(model, code=code)
        tokenizer = read_tokenizer(model.name, folder, code=code)
        written, notes = _write(tokenizer, numbers, texts, model.name)
        stack = Stack(model.name, folder, device=device, dtype=dtype, code=code)
        random_ids, digest = _controls(model, written, stack.vocabulary, controls, notes)
        _warn(written, dtype)

        total = sum(len(words) + len(random_ids) for words in written.values())
        rows: dict[str, dict[int, npt.NDArray[Any]]] = {}
        done = 0
        for name, words in written.items():
            asked = [*words, *(_with_token(words[0], token) for token in random_ids)]
            _check_texts(asked, stack.vocabulary, stack.most_tokens, model.name)

            def report(more: int, before: int = done) -> None:
                progress(f"running {model.name}", before + more, total)

            wanted = sorted(set(layers.values()))
            raw_last = not final_norm and (count is None or count in wanted)
            rows[name] = _run(stack, asked, wanted, batch, raw_last=raw_last, report=report)
            done += len(asked)
            layers = {read: layer for read, layer in layers.items() if layer in rows[name]}
        if not layers:
            raise _no_layer(model, list(reads), None, block)
        normed = final_norm and _has_final_norm(stack, next(iter(written.values()))[0])
        common = {
            **_origin(model, folder.name),
            "block": block,
            "stack": "encoder" if stack.is_encoder else "model",
            "device": stack.device,
            "dtype": dtype,
            "tokenizer": model.name,
            "tokenizer_digest": digest,
            "random_token_ids": random_ids,
            "notes": notes,
        }
        first = next(iter(written.values()))
        n = len(first)
        base = Representation(
            np.zeros((n, 1)),
            np.asarray([word.number for word in first], dtype=np.int64),
            token_ids=np.asarray([word.ids[word.span[1]] for word in first], dtype=np.int64),
        )
        for read, layer in layers.items():
            several = [_finite(rows[name][layer], read, dtype, model.name) for name in written]
            mean = several[0] if len(several) == 1 else np.asarray(np.mean(several, axis=0, dtype=np.float64))
            about = {
                **common,
                "layer": layer,
                "final_norm": normed and layer == (count if count is not None else max(layers.values())),
                "templates": list(written),
            }
            yield read, {}, _filled(base, mean, n, about)
            if len(several) > 1:
                for name, own in zip(written, several, strict=True):
                    yield read, {"templates": name}, _filled(base, own, n, {**about, "templates": [name]})


read_hidden = HiddenStates()


def _layer(read: str) -> int:
    tail = read.removeprefix(HEAD)
    if not tail.isdigit():
        raise SourceError(f"{read!r} is no layer; write {HEAD}6, or --layers all, 0..12 or 0,4,8.")
    return int(tail)


def _those_there(model: ModelSpec, layers: Mapping[str, int], count: int, block: str) -> dict[str, int]:
    last = count - int(block == "before")
    there = {read: layer for read, layer in layers.items() if 0 <= layer <= last}
    if not there:
        raise _no_layer(model, list(layers), count, block)
    return there


def _no_layer(model: ModelSpec, reads: Sequence[str], count: int | None, block: str) -> SourceError:
    first = int(block == "before")
    allowed = f"{HEAD}{first} to {HEAD}{count}" if count is not None else f"layers from {HEAD}{first} on"
    side = "the input of the first block" if first else "the embedding output"
    return SourceError(f"{', '.join(reads)} is not in {model.name}, which has {allowed} ({HEAD}{first} is {side}).")


def _code(model: ModelSpec, asked: bool) -> bool:
    """Whether the checkpoint's own Python may run: only where the model's entry says so."""
    stated = model.params.get("trust_remote_code", False)
    if asked and stated is not True:
        raise SourceError(
            f"trust_remote_code runs Python files of {model.name}; allow it for that model alone, in registry.toml: "
            f"[models.{model.name}] params = {{ trust_remote_code = true }}"
        )
    return asked


def _write(
    tokenizer: Any, numbers: NumberSet, texts: Mapping[str, str], name: str
) -> tuple[dict[str, list[Written]], list[str]]:
    """The numbers that are legible in every template, by the name of the template; and what was left out."""
    found = {key: write_all(tokenizer, numbers, template) for key, template in texts.items()}
    legible = set.intersection(*({word.number for word in words} for words in found.values()))
    if not legible:
        shown = ", ".join(repr(template) for template in texts.values())
        raise SourceError(
            f"no number of {numbers.spec} is legible in {shown} to {name}: its tokenizer does not know the digits, or "
            "joins them with the text; put a space or another sign beside {n}."
        )
    notes = [f"{len(numbers) - len(legible)} numbers share a token with the text around them and have no row"]
    kept = {key: [word for word in words if word.number in legible] for key, words in found.items()}
    return kept, notes if len(legible) < len(numbers) else []


def _warn(written: Mapping[str, Sequence[Written]], dtype: str) -> None:
    words = [word for several in written.values() for word in several]
    alone = sum(word.pieces == 1 for word in words)
    if 0 < alone < len(words):
        text = f"{alone} of {len(words)} texts hold their number as one token, the others as several"
        warnings.warn(MeasurementWarning("W-TOKENFORM", text), stacklevel=3)
    if any(word.lone_space for word in words):
        text = "the tokenizer puts a space of its own before a bare number"
        warnings.warn(MeasurementWarning("W-TOKENFORM", text), stacklevel=3)
    if dtype in HALF:
        warnings.warn(MeasurementWarning("W-DTYPE", f"the model is run in {dtype}"), stacklevel=3)


def _controls(
    model: ModelSpec, written: Mapping[str, Sequence[Written]], rows: int, count: int, notes: list[str]
) -> tuple[list[int], str]:
    """Random tokens that are no numbers, and what identifies the vocabulary."""
    from numgeom_plugins.sources.control import SEED, control_ids
    from numgeom_plugins.sources.tokenizers import vocabulary_digest

    try:
        tokenizer = tokenizer_of(model)
    except TokenizerError as error:
        notes.append(f"no random rows: {error}")
        return [], ""
    ids = {token for words in written.values() for word in words for token in word.ids}
    drawn = control_ids(tokenizer, np.asarray(sorted(ids), dtype=np.int64), rows)
    if count < len(drawn):
        drawn = np.sort(np.random.default_rng(SEED).choice(drawn, size=count, replace=False))
    return drawn.tolist(), vocabulary_digest(tokenizer)


def _with_token(word: Written, token: int) -> Written:
    """A text with one other token in the place of its number."""
    first, last = word.span
    inputs = {
        name: [*column[:first], token if name == "input_ids" else column[last], *column[last + 1 :]]
        for name, column in word.inputs.items()
    }
    return replace(word, inputs=inputs, span=(first, first), pieces=1)


def _check_texts(words: Sequence[Written], vocabulary: int, most: int | None, name: str) -> None:
    for word in words:
        if max(word.ids) >= vocabulary:
            raise SourceError(
                f"number {word.number} has token id {max(word.ids)}, but {name} has only {vocabulary} rows: tokenizer "
                "and weights do not belong together; put the model's own tokenizer there."
            )
        if most is not None and len(word.ids) > most:
            raise SourceError(
                f"the text of number {word.number} has {len(word.ids)} tokens and {name} takes {most}; "
                "shorten the template."
            )


def _run(
    stack: Any, words: Sequence[Written], layers: Sequence[int], batch: int, *, raw_last: bool, report: Any
) -> dict[int, npt.NDArray[Any]]:
    """``(texts, d)`` of every layer that is there."""
    from numgeom_plugins.sources.stack import to_rows

    by_length: dict[int, list[int]] = defaultdict(list)
    for place, word in enumerate(words):
        by_length[len(word.ids)].append(place)
    found: dict[int, npt.NDArray[Any]] = {}
    done = 0
    report(0)
    for _, places in sorted(by_length.items()):
        for start in range(0, len(places), batch):
            now = places[start : start + batch]
            inputs = {name: [words[i].inputs[name] for i in now] for name in words[now[0]].inputs}
            states = stack.states(inputs, raw_last=raw_last)
            for layer in layers:
                if layer < len(states):
                    rows = to_rows(states[layer], [words[i].span[1] for i in now])
                    found.setdefault(layer, np.empty((len(words), rows.shape[1]), dtype=rows.dtype))[now] = rows
            done += len(now)
            report(done)
    return found


def _has_final_norm(stack: Any, word: Written) -> bool:
    """Whether the last hidden state is more than the output of the last block."""
    inputs = {name: [column] for name, column in word.inputs.items()}
    try:
        raw = stack.states(inputs, raw_last=True)[-1]
    except SourceError:
        return False
    return not bool((raw == stack.states(inputs)[-1]).all())


def _finite(rows: npt.NDArray[Any], read: str, dtype: str, name: str) -> npt.NDArray[Any]:
    if not np.isfinite(rows).all():
        remedy = "type dtype=float32" if dtype in HALF else "look for NaN in its weights"
        raise SourceError(f"{read} of {name} holds NaN or infinity when run in {dtype}; {remedy}.")
    return rows


def _filled(base: Representation, rows: npt.NDArray[Any], n: int, about: Mapping[str, Any]) -> Representation:
    control = rows[n:] if len(rows) > n else None
    return replace(base, matrix=rows[:n], provenance=about, random_rows=control)


def _origin(model: ModelSpec, folder: str) -> dict[str, Any]:
    """The commit of a hub model, which is the name of its folder in the cache."""
    return {"repository": model.id, "revision": folder} if model.source == "hf" else {}
