"""Rows of a checkpoint's input or output embedding: only the numbers' rows, and a control of random tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom import ModelSpec, NumberSet, Representation, SourceError, Tokenizer
from numgeom.numbers import FORMS
from numgeom_plugins.sources.checkpoint_folder import CheckpointFolder
from numgeom_plugins.sources.embedding_tensor import find_embedding, tied

RANDOM_ROWS = 1000
RANDOM_SEED = 0


def read_checkpoint(model: ModelSpec, numbers: NumberSet, *, read: str, tensor: str = "") -> Representation:
    """The numbers' rows of a Hugging Face folder with safetensors weights.

    Parameters
    ----------
    model : ModelSpec
        ``id`` is the folder.
    numbers : NumberSet
        Those that are one token in the set's form get a row.
    read : {"input", "output"}
        Which embedding.
    tensor : str, optional
        Name of the tensor, where it cannot be found from config and shapes.

    Returns
    -------
    Representation
        Rows as stored (bfloat16 and float16 widened to float32), with up to 1,000 rows of random tokens that are
        no numbers. Provenance: tensor, dtype, files, tied, tokenizer, tokenizer_digest, form, notes.

    Raises
    ------
    SourceError
        If weights are missing or broken, or no number is one token.
    Incompatible
        If the output embedding is tied to the input (W-TIED).
    TokenizerError
        If there is no tokenizer.

    Examples
    --------
    >>> import tempfile
    >>> from safetensors.numpy import save_file
    >>> from tokenizers import Tokenizer as Files, models
    >>> folder = Path(tempfile.mkdtemp())
    >>> save_file({"wte.weight": np.eye(12, dtype=np.float32)}, folder / "model.safetensors")
    >>> vocabulary = {"<unk>": 0, "one": 1, **{str(n): n + 2 for n in range(10)}}
    >>> Files(models.WordLevel(vocabulary, unk_token="<unk>")).save(str(folder / "tokenizer.json"))
    >>> model = ModelSpec(name="m", source="checkpoint", id=str(folder))
    >>> rep = read_checkpoint(model, NumberSet.parse("3..5"), read="input")
    >>> rep.numbers.tolist(), rep.token_ids.tolist(), rep.provenance["tensor"]
    ([3, 4, 5], [5, 6, 7], 'wte.weight')
    """
    from numgeom_plugins.sources.tokenizers import load_tokenizer

    checkpoint = CheckpointFolder(Path(model.id).expanduser())
    return embed(checkpoint, load_tokenizer(model), numbers, read=read, tensor=tensor)


def embed(
    checkpoint: CheckpointFolder,
    tokenizer: Tokenizer,
    numbers: NumberSet,
    *,
    read: str,
    tensor: str = "",
    provenance: Mapping[str, Any] | None = None,
) -> Representation:
    """The rows of an opened checkpoint; see :func:`read_checkpoint`.

    Parameters
    ----------
    checkpoint : CheckpointFolder
    tokenizer : Tokenizer
    numbers : NumberSet
    read : {"input", "output"}
    tensor : str, optional
    provenance : mapping, optional
        What else is known of the model, such as its revision.
    """
    from numgeom_plugins.sources.tokenizers import number_token_ids, random_token_ids

    values, ids = number_token_ids(tokenizer, numbers)
    if not len(values):
        raise _no_number(tokenizer, numbers)
    chosen = find_embedding(checkpoint, read, vocab_size=tokenizer.vocab_size, tensor=tensor)
    file = checkpoint.open(chosen.tensor)
    info = file.tensor(chosen.tensor)
    if not info.is_table:
        raise SourceError(
            f"the {read} embedding {info.name!r} of {checkpoint.name} has type {info.dtype} and shape "
            f"{info.shape}; rows are read from F16, BF16, F32 or F64 matrices: take an unquantised checkpoint."
        )
    count = info.shape[0]
    if int(np.max(ids)) >= count:
        at = int(np.argmax(ids))
        raise SourceError(
            f"number {int(values[at])} has token id {int(ids[at])}, but {info.name!r} of {checkpoint.name} has "
            f"only {count} rows: tokenizer and weights do not belong together; put the model's own tokenizer there."
        )
    # Ids added to the tokenizer after training may have no row: they are no part of the control.
    rowless = np.arange(count, max(count, tokenizer.vocab_size))
    random_ids = np.asarray(
        random_token_ids(tokenizer, np.concatenate([ids, rowless]), count=RANDOM_ROWS, seed=RANDOM_SEED), dtype=np.int64
    )
    rows = file.read_rows(info.name, np.concatenate([ids, random_ids]))
    notes = [*chosen.notes, *tokenizer.notes]
    if read == "output":
        if _stated_tied(checkpoint) and not tensor:
            raise tied(
                f"the output embedding of {checkpoint.name} is tied to the input by its config, so it is not a second "
                f"source (W-TIED); use the source input, or params.tensor if the stored {info.name!r} is what you mean."
            )
        notes += _output_notes(checkpoint, info.name, np.concatenate([ids, random_ids]), rows, tokenizer)
    elif any("gemma" in str(config.get("model_type", "")) for config in checkpoint.text_configs):
        notes.append("rows are stored values; the model multiplies them by sqrt(d)")
    control = rows[len(ids) :]
    whole = np.isfinite(control).all(axis=1)
    if not whole.all():
        notes.append(f"{int((~whole).sum())} random rows with NaN or infinity left out")
    return Representation(
        rows[: len(ids)],
        np.asarray(values, dtype=np.int64),
        token_ids=np.asarray(ids, dtype=np.int64),
        provenance={
            **(provenance or {}),
            "tensor": info.name,
            "dtype": info.dtype,
            "files": [checkpoint.file_of(info.name)],
            "rows_in_tensor": count,
            "tied": _stated_tied(checkpoint),
            "tokenizer": tokenizer.name,
            "tokenizer_digest": _tokenizer_digest(tokenizer, random_ids),
            "form": numbers.form,
            "notes": notes,
        },
        random_rows=control[whole] if whole.any() else None,
    )


def _output_notes(
    checkpoint: CheckpointFolder, tensor: str, ids: npt.NDArray[np.int64], rows: npt.NDArray[Any], tokenizer: Tokenizer
) -> list[str]:
    """Refuse an output embedding that is the input embedding; say what a true one leaves out."""
    try:
        table = find_embedding(checkpoint, "input", vocab_size=tokenizer.vocab_size).tensor
    except SourceError:
        return [f"no input embedding found beside {tensor}, so whether they are tied was not checked"]
    # A config that says "not tied" is not worth another shard's download.
    compare = _stated_tied(checkpoint) is None or checkpoint.info(table) is not None
    if table == tensor or (compare and _same_rows(checkpoint, table, ids, rows)):
        raise tied(
            f"the output embedding {tensor!r} of {checkpoint.name} is tied: its rows are those of "
            f"{table!r} bit for bit, so it is not a second source "
            "(W-TIED); use the source input."
        )
    bias = tensor.removesuffix("weight") + "bias"
    return [f"the output bias {bias} is left out"] if bias in checkpoint.tensors else []


def _same_rows(checkpoint: CheckpointFolder, tensor: str, ids: npt.NDArray[np.int64], rows: npt.NDArray[Any]) -> bool:
    info = checkpoint.open(tensor).tensor(tensor)
    if info.shape[1] != rows.shape[1] or info.shape[0] <= int(ids.max()):
        return False
    return bool(np.array_equal(checkpoint.open(tensor).read_rows(tensor, ids), rows, equal_nan=True))


def _stated_tied(checkpoint: CheckpointFolder) -> bool | None:
    """What the config says of tying, the outermost first; ``None`` where it says nothing."""
    stated = [config["tie_word_embeddings"] for config in checkpoint.text_configs if "tie_word_embeddings" in config]
    return bool(stated[0]) if stated else None


def _tokenizer_digest(tokenizer: Tokenizer, random_ids: npt.NDArray[np.int64]) -> str:
    """One value for one vocabulary, whatever file it came from: the texts of the ids that were drawn."""
    state = hashlib.blake2b(digest_size=16)
    for token in random_ids.tolist():
        state.update(f"{token}\0{tokenizer.token_text(token)}\0".encode("utf-8", "surrogatepass"))
    return state.hexdigest()


def _no_number(tokenizer: Tokenizer, numbers: NumberSet) -> SourceError:
    """Why no number has a row, with one number written out and the form that would do."""
    from numgeom_plugins.sources.tokenizers import number_token_ids

    example = 7 if 7 in numbers.values else numbers.values[0]
    count = len(tokenizer.encode_number(example, numbers.template))
    other = next(
        (
            form
            for form, template in FORMS.items()
            if template != numbers.template and len(number_token_ids(tokenizer, NumberSet(numbers.values, template))[0])
        ),
        "",
    )
    advice = (
        f"type --numbers '{numbers.spec.partition('@')[0]}@{other}' for the {other} form"
        if other
        else "choose numbers that are one token with --numbers (numgeom probe lists them)"
    )
    return SourceError(
        f"no number of {numbers.spec} is one token of {tokenizer.name}: {numbers.text(example)!r} takes {count}; "
        f"{advice}."
    )
