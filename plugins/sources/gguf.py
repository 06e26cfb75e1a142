"""Rows of a GGUF file, the format of llama.cpp: only the rows asked for are read and dequantised."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt

from numgeom import Incompatible, MeasurementWarning, ModelSpec, NumberSet, Representation, SourceError
from numgeom_plugins.sources.control import Control
from numgeom_plugins.sources.fingerprint import fingerprint_files
from numgeom_plugins.sources.gguf_file import GgufFile

INPUT, OUTPUT = "token_embd.weight", "output.weight"
MOST_PARTS = 1000

_PART = re.compile(r"(.*-)(\d{5})(-of-(\d{5})\.gguf)", re.IGNORECASE)


def read_gguf(model: ModelSpec, numbers: NumberSet, *, read: str) -> Representation:
    """The numbers' rows of the input or output embedding of a GGUF file.

    Parameters
    ----------
    model : ModelSpec
        ``id`` is the file; of a model split into ``NAME-00001-of-00003.gguf`` and so on, the first.
    numbers : NumberSet
        Those that are one token in the set's form get a row.
    read : {"input", "output"}
        Which embedding.

    Returns
    -------
    Representation
        float32 rows, dequantised as the ``gguf`` package does, with up to 1,000 rows of random tokens that are no
        numbers (their ids stand in the provenance as ``random_token_ids``), and the rows of digits with zeros in front
        ("007").

    Raises
    ------
    SourceError
        If the file is damaged, lacks the tensor, or no number is one token.
    Incompatible
        If the output embedding is tied to the input (W-TIED).
    TokenizerError
        If the file holds no tokenizer.

    References
    ----------
    Format and block types: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

    Examples
    --------
    >>> import tempfile
    >>> from gguf import GGUFWriter
    >>> path = Path(tempfile.mkdtemp()) / "m.gguf"
    >>> writer = GGUFWriter(path, "bert")
    >>> writer.add_tokenizer_model("bert")
    >>> writer.add_token_list(["[UNK]", *(f"▁{digit}" for digit in range(10)), "▁one"])
    >>> writer.add_tensor("token_embd.weight", np.eye(12, dtype=np.float32))
    >>> writer.write_header_to_file(); writer.write_kv_data_to_file(); writer.write_tensors_to_file(); writer.close()
    >>> rep = read_gguf(ModelSpec(name="m", source="gguf", id=str(path)), NumberSet.parse("3..5"), read="input")
    >>> rep.numbers.tolist(), rep.token_ids.tolist(), rep.provenance["dtype"]
    ([3, 4, 5], [4, 5, 6], 'F32')
    """
    from numgeom_plugins.sources.tokenizers import load_tokenizer, no_number, number_token_ids, vocabulary_digest

    path = Path(model.id).expanduser()
    file = GgufFile(path)
    tensor = INPUT if read == "input" else OUTPUT
    holder = holder_of(file, tensor)
    if holder is None and read == "output" and holder_of(file, INPUT) is not None:
        raise _tied(f"{file.name} has no {OUTPUT}: the model's output embedding is its input embedding")
    if holder is None:
        raise SourceError(f"{file.name} has no {tensor}; give the GGUF file of a whole language model.")
    tokenizer = load_tokenizer(model)
    values, ids = number_token_ids(tokenizer, numbers)
    if not values.size:
        raise no_number(tokenizer, numbers)
    info = holder.tensor(tensor)
    count = info.shape[0]
    if int(ids.max()) >= count:
        at = int(np.argmax(ids))
        raise SourceError(
            f"number {int(values[at])} has token id {int(ids[at])}, but {tensor} of {file.name} has only {count} rows: "
            "tokenizer and weights do not belong together; convert the model again."
        )
    control = Control.of(tokenizer, numbers, ids, count)
    wanted = np.concatenate([ids, control.ids])
    rows = holder.read_rows(tensor, wanted)
    if read == "output" and _same_as_input(file, holder, wanted, rows):
        raise _tied(f"{OUTPUT} of {file.name} holds the rows of {INPUT}, bit for bit")
    notes = list(tokenizer.notes)
    if info.dtype not in ("F32", "F16", "BF16"):
        notes.append(f"rows dequantised from {info.dtype}")
    if read == "input" and file.text("general.architecture").startswith("gemma"):
        notes.append("rows are stored values; the model multiplies them by sqrt(d)")
    fields, random_ids = control.fields(rows[len(ids) :], notes)
    return Representation(
        rows[: len(ids)],
        values,
        token_ids=ids,
        provenance={
            "tensor": tensor,
            "dtype": info.dtype,
            "files": [holder.path.name],
            "rows_in_tensor": count,
            "tied": False if read == "output" else holder_of(file, OUTPUT) is None,
            "tokenizer": tokenizer.name,
            "tokenizer_digest": vocabulary_digest(tokenizer),
            "random_token_ids": random_ids,
            "strings_in_vocabulary": control.string_count,
            "form": numbers.form,
            "notes": notes,
        },
        **fields,
    )


def gguf_fingerprint(model: ModelSpec) -> str:
    """Changes whenever the file, or one that continues it, does."""
    path = Path(model.id).expanduser()
    return fingerprint_files([path, *(part for part in _parts(path) if part.is_file())])


def holder_of(file: GgufFile, tensor: str) -> GgufFile | None:
    """The file that holds a tensor: this one, or one of those that continue it."""
    if tensor in file.tensors:
        return file
    missing = ""
    for path in _parts(file.path):
        if not path.is_file():
            missing = missing or path.name
            continue
        part = GgufFile(path)
        if tensor in part.tensors:
            return part
    if missing:
        raise SourceError(
            f"{file.name} is one of several parts and has no {tensor}, and {missing} is missing; put it beside it."
        )
    return None


def _parts(path: Path) -> list[Path]:
    """The other files of a model that was split, by their names."""
    match = _PART.fullmatch(path.name)
    if match is None or int(match[4]) > MOST_PARTS:
        return []
    names = [f"{match[1]}{number:05}{match[3]}" for number in range(1, int(match[4]) + 1)]
    return [path.with_name(name) for name in names if name != path.name]


def _same_as_input(file: GgufFile, holder: GgufFile, ids: npt.NDArray[np.int64], rows: npt.NDArray[np.float32]) -> bool:
    other = holder_of(file, INPUT)
    if other is None or other.tensor(INPUT).shape != holder.tensor(OUTPUT).shape:
        return False
    return bool(np.array_equal(other.read_rows(INPUT, ids), rows, equal_nan=True))


def _tied(why: str) -> Incompatible:
    warnings.warn(MeasurementWarning("W-TIED", "the output embedding is the input embedding"), stacklevel=3)
    return Incompatible(f"{why}, so it is not a second source (W-TIED); use the source input.")
