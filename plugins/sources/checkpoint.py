"""Rows of a checkpoint's input or output embedding: only the numbers' rows, and a control of random tokens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom import ModelSpec, NumberSet, Representation, SourceError, Tokenizer
from numgeom_plugins.sources import fp8
from numgeom_plugins.sources.checkpoint_folder import CheckpointFolder
from numgeom_plugins.sources.control import Control
from numgeom_plugins.sources.embedding_tensor import find_embedding, tied
from numgeom_plugins.sources.safetensors_rows import FLOATS, TensorInfo

FIRST_COMPARED = 8
MULTIPLIERS = ("embedding_multiplier", "scale_emb")
HIDDEN_SIZES = ("hidden_size", "d_model")


def read_checkpoint(model: ModelSpec, numbers: NumberSet, *, read: str, tensor: str = "") -> Representation:
    """The numbers' rows of a Hugging Face folder with safetensors weights, or with PyTorch's where it has none.

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
        Rows as stored (bfloat16 widened to float32, eight-bit floats also scaled), with up to 1,000 rows of random
        tokens that are no numbers, and the rows of digits with zeros in front ("007"). Provenance: tensor, dtype,
        files, tied, tokenizer, tokenizer_digest, form, random_token_ids (of those rows), strings_in_vocabulary (of
        which so many are read as a server can be asked for), notes.

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
    from numgeom_plugins.sources.tokenizers import no_number, number_token_ids, vocabulary_digest

    values, ids = number_token_ids(tokenizer, numbers)
    if not len(values):
        raise no_number(tokenizer, numbers)
    chosen = find_embedding(checkpoint, read, vocab_size=tokenizer.vocab_size, tensor=tensor)
    info = checkpoint.open(chosen.tensor).tensor(chosen.tensor)
    if not info.is_table:
        raise SourceError(
            f"the {read} embedding {info.name!r} of {checkpoint.name} has type {info.dtype} and shape "
            f"{info.shape}; rows are read from matrices of {', '.join(FLOATS)}: take an unquantised checkpoint."
        )
    count = info.shape[0]
    if int(np.max(ids)) >= count:
        at = int(np.argmax(ids))
        raise SourceError(
            f"number {int(values[at])} has token id {int(ids[at])}, but {info.name!r} of {checkpoint.name} has "
            f"only {count} rows: tokenizer and weights do not belong together; put the model's own tokenizer there."
        )
    control = Control.of(tokenizer, numbers, ids, count)
    every = np.concatenate([ids, control.ids])
    rows, scaled = embedding_rows(checkpoint, info, every)
    notes = [*chosen.notes, *tokenizer.notes, *scaled]
    if read == "output":
        if _stated_tied(checkpoint) and not tensor:
            raise tied(
                f"the output embedding of {checkpoint.name} is tied to the input by its config, so it is not a second "
                f"source (W-TIED); use the source input, or params.tensor if the stored {info.name!r} is what you mean."
            )
        notes += _output_notes(checkpoint, info.name, every, rows, tokenizer)
    else:
        notes += _run_time_notes(checkpoint, info)
    fields, random_ids = control.fields(rows[len(ids) :], notes)
    notes += checkpoint.notes
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
            "tokenizer_digest": vocabulary_digest(tokenizer),
            "random_token_ids": random_ids,
            "strings_in_vocabulary": control.string_count,
            "form": numbers.form,
            "notes": notes,
        },
        **fields,
    )


def _run_time_notes(checkpoint: CheckpointFolder, info: TensorInfo) -> list[str]:
    """What the model still does with the stored rows before its first layer."""
    notes = []
    for config in checkpoint.text_configs:
        factors = [config.get(key) for key in MULTIPLIERS]
        factor = next((value for value in factors if isinstance(value, int | float) and value not in (0, 1)), None)
        by_root = config.get("scale_embedding") is True or "gemma" in str(config.get("model_type", ""))
        if factor is not None or by_root:
            by = "sqrt(d)" if factor is None else f"{factor:g}"
            notes.append(f"rows are stored values; the model multiplies them by {by}")
    hidden = [config[key] for config in checkpoint.text_configs for key in HIDDEN_SIZES if type(config.get(key)) is int]
    if hidden and info.shape[1] not in hidden:
        notes.append(f"rows are factorised: {info.shape[1]} wide, before the model projects them to {hidden[0]}")
    return list(dict.fromkeys(notes))


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
    # A few rows that differ settle it; only rows that agree are worth reading all.
    return all(
        np.array_equal(embedding_rows(checkpoint, info, ids[:count])[0], rows[:count], equal_nan=True)
        for count in (min(len(ids), FIRST_COMPARED), len(ids))
    )


def embedding_rows(
    checkpoint: CheckpointFolder, info: TensorInfo, ids: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[Any], list[str]]:
    """Rows of a table, and what should be said of them: eight-bit floats are multiplied by their scale.

    Parameters
    ----------
    checkpoint : CheckpointFolder
    info : TensorInfo
    ids : ndarray of int, shape (k,)

    Returns
    -------
    rows : ndarray, shape (k, d)
    notes : list of str

    Raises
    ------
    SourceError
        If the rows cannot be read, or the scale has a shape that fits no rule.
    """
    rows = checkpoint.open(info.name).read_rows(info.name, ids)
    if info.dtype not in fp8.TYPES:
        return rows, []
    scale = next((name for ending in fp8.SCALES if (name := info.name + ending) in checkpoint.tensors), "")
    if not scale:
        return rows, [f"{info.dtype} without a scale: rows are the stored values"]
    block = fp8.block_of([config.get("quantization_config") for config in checkpoint.text_configs])
    held = checkpoint.open(scale)
    fp8.check(held.tensor(scale), info, block)
    factors = fp8.scale_of(np.asarray(held.read(scale), dtype=np.float32), ids, info.shape, block)
    return rows * factors, [f"{info.dtype} rows multiplied by {scale}"]


def _stated_tied(checkpoint: CheckpointFolder) -> bool | None:
    """What the config says of tying, the outermost first; ``None`` where it says nothing."""
    stated = [config["tie_word_embeddings"] for config in checkpoint.text_configs if "tie_word_embeddings" in config]
    return bool(stated[0]) if stated else None
