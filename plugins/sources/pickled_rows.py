"""Rows of a PyTorch ``.bin`` or ``.pt`` file: a zip archive of plain storages, described by a pickle.

Two locks stand before the pickle. Its instructions are looked through first, without carrying any out: it may
name nothing but what ``torch.save`` writes for tensors, and every storage that it names must be a stored record
of exactly that size. Then ``torch.load(weights_only=True, mmap=True)`` builds the tensors on the file itself, so
only the rows that are taken are ever read.
"""

from __future__ import annotations

import io
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from numgeom import SourceError
from numgeom_plugins.sources.safetensors_rows import TensorInfo

if TYPE_CHECKING:
    import torch

SINGLE = "pytorch_model.bin"
INDEX = "pytorch_model.bin.index.json"
MOST_PICKLE_BYTES = 64_000_000
FIRST_SAFE_TORCH = (2, 6)  # before it weights_only could be made to run code (CVE-2025-32434)

_STORAGE_BYTES = {
    "torch BoolStorage": 1,
    "torch ByteStorage": 1,
    "torch CharStorage": 1,
    "torch ShortStorage": 2,
    "torch HalfStorage": 2,
    "torch BFloat16Storage": 2,
    "torch IntStorage": 4,
    "torch FloatStorage": 4,
    "torch LongStorage": 8,
    "torch DoubleStorage": 8,
    "torch ComplexFloatStorage": 8,
    "torch ComplexDoubleStorage": 16,
}
_TYPES = ("float16", "bfloat16", "float32", "float64", "bool", "uint8", "int8", "int16", "int32", "int64")
_ALLOWED = frozenset(
    {
        *_STORAGE_BYTES,
        *(f"torch {name}" for name in _TYPES),
        "collections OrderedDict",
        "torch Size",
        "torch device",
        "torch._utils _rebuild_tensor",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
    }
)
# The names by which safetensors calls torch's types.
_NAMED = {
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
}
_PUSHES = re.compile(r"BINUNICODE|BININT[12]?|LONG1|GLOBAL")
_MENDED = "convert it: AutoModel.from_pretrained(FOLDER).save_pretrained(NEW) writes model.safetensors."


class PickledFile:
    """The tensors of one PyTorch file, with the attributes and methods of
    :class:`~numgeom_plugins.sources.safetensors_rows.SafetensorsFile`.

    Parameters
    ----------
    path : Path
        A ``.bin``, ``.pt``, ``.pth`` or ``.ckpt`` file that ``torch.save`` wrote (PyTorch 1.6 or newer): a mapping
        of names to tensors, or a mapping of such mappings (their names are then joined by a dot).

    Attributes
    ----------
    name : str
        How messages call it.
    notes : list of str
        What should be said of the way it was read: nothing.
    tensors : dict of str to TensorInfo
        ``start`` is 0 and ``stop`` the bytes that the tensor takes: positions in the file are torch's affair.

    Raises
    ------
    SourceError
        If the file is missing or damaged, is no such archive, or its pickle names anything but tensors.

    Notes
    -----
    Code in a pickle is never run: the file is refused. Torch is imported only when such a file is opened.

    Examples
    --------
    >>> import tempfile, torch
    >>> path = Path(tempfile.mkdtemp()) / "pytorch_model.bin"
    >>> torch.save({"wte.weight": torch.arange(12.0).reshape(4, 3)}, path)
    >>> file = PickledFile(path)
    >>> file.tensors["wte.weight"].shape, file.read_rows("wte.weight", [3, 1]).tolist()
    ((4, 3), [[9.0, 10.0, 11.0], [3.0, 4.0, 5.0]])
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = repr(str(path))
        self.notes: list[str] = []
        try:
            with zipfile.ZipFile(path) as archive:
                self._look_through(archive)
        except OSError as error:
            raise SourceError(f"cannot read {str(path)!r}: {error.strerror or error}; check the path.") from error
        except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, RuntimeError) as error:
            raise self._refused(f"it is not a whole zip archive as torch.save writes it ({_line(error)})") from error
        self._held = dict(self._tensors())
        self.tensors = {name: _info(name, tensor) for name, tensor in self._held.items()}

    def tensor(self, name: str) -> TensorInfo:
        """The entry called ``name``.

        Raises
        ------
        SourceError
            If there is none; the message lists those that exist.
        """
        if name not in self.tensors:
            held = sorted(self.tensors)
            listed = ", ".join(held[:12]) + (", ..." if len(held) > 12 else "")
            raise SourceError(f"{self.name} has no tensor {name!r}; it holds: {listed or '(none)'}.")
        return self.tensors[name]

    def read(self, name: str) -> npt.NDArray[Any]:
        """A whole tensor in its stored shape; bfloat16 as float32, all others in their own type."""
        self.tensor(name)
        return _array(self._held[name])

    def read_rows(self, name: str, rows: npt.ArrayLike) -> npt.NDArray[Any]:
        """Some rows of a matrix, in the order asked for.

        Parameters
        ----------
        name : str
        rows : array_like of int, shape (k,)
            Row indices; repeats are allowed.

        Returns
        -------
        ndarray, shape (k, d)
            bfloat16 widened to float32 exactly; other types as stored.

        Raises
        ------
        SourceError
            If the tensor is missing or not a matrix, or a row is beyond it.
        """
        import torch

        info = self.tensor(name)
        if len(info.shape) != 2:
            raise SourceError(f"tensor {name!r} of {self.name} has shape {info.shape}; rows need a matrix.")
        wanted = np.asarray(rows, dtype=np.int64).reshape(-1)
        beyond = wanted[(wanted < 0) | (wanted >= info.shape[0])]
        if beyond.size:
            raise SourceError(
                f"row {beyond[0]} is not in tensor {name!r} of {self.name}, which has {info.shape[0]} rows."
            )
        return _array(self._held[name][torch.from_numpy(wanted)])

    def _look_through(self, archive: zipfile.ZipFile) -> None:
        """Refuse an archive in which torch could be made to do anything but lay tensors over stored bytes."""
        records: dict[str, zipfile.ZipInfo] = {}
        for record in archive.infolist():
            name = record.filename.partition("/")[2]
            if record.compress_type != zipfile.ZIP_STORED or record.file_size != record.compress_size:
                raise self._refused(f"its record {record.filename!r} is compressed, which torch.save never does")
            if name in records:
                raise self._refused(f"it holds the record {record.filename!r} twice")
            records[name] = record
        if "data.pkl" not in records or "constants.pkl" in records:
            what = "TorchScript, a program" if "constants.pkl" in records else "no archive of tensors"
            raise self._refused(f"it is {what}")
        if records["data.pkl"].file_size > MOST_PICKLE_BYTES:
            raise self._refused(
                f"its pickle has {records['data.pkl'].file_size:,} bytes; at most {MOST_PICKLE_BYTES:,} are allowed"
            )
        if "byteorder" in records and archive.read(records["byteorder"]) != b"little":
            raise self._refused("it was written on a big-endian machine")
        for storage, key, count in self._storages(archive.read(records["data.pkl"])):
            held = records.get(f"data/{key}")
            needs = count * _STORAGE_BYTES[storage]
            if held is None or held.file_size != needs:
                has = "is not there" if held is None else f"has {held.file_size:,}"
                raise self._refused(f"its storage {key!r} should have {needs:,} bytes, but {has}")

    def _storages(self, pickled: bytes) -> Iterator[tuple[str, str, int]]:
        """Type, key and length of every storage that a pickle names; nothing in it is carried out."""
        pushed: list[Any] = []
        memo: dict[Any, Any] = {}
        for operation, argument, _ in pickletools.genops(io.BytesIO(pickled)):
            name = operation.name
            if name == "PROTO" and argument != 2:
                raise self._refused(f"its pickle is of protocol {argument}, where torch.save writes 2")
            if name == "GLOBAL" and argument not in _ALLOWED:
                raise self._refused(
                    f"its pickle names {str(argument).replace(' ', '.')!r}, which is no part of a plain tensor, and "
                    "pickles can run code"
                )
            if _PUSHES.fullmatch(name):
                pushed.append(argument)
            elif name in ("BINPUT", "LONG_BINPUT"):
                memo[argument] = pushed[-1] if pushed else None
            elif name in ("BINGET", "LONG_BINGET"):
                pushed.append(memo.get(argument))
            elif name == "BINPERSID":
                last: list[Any] = pushed[-5:] if len(pushed) >= 5 else [None] * 5
                kind, storage, key, _, count = last
                plain = kind == "storage" and storage in _STORAGE_BYTES and isinstance(key, str)
                if not plain or type(count) is not int or count < 0:
                    raise self._refused("its pickle describes a storage in another way than torch.save does")
                yield storage, key, count
                pushed.append(None)
            elif name != "TUPLE":
                pushed.append(None)  # whatever it is, it is no part of a storage's description

    def _tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        import torch

        version = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
        if version < FIRST_SAFE_TORCH:
            raise SourceError(
                f"torch {torch.__version__} cannot open {self.name} safely; type: pip install -U 'torch>=2.6'"
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                content = torch.load(self.path, map_location="cpu", weights_only=True, mmap=True)
        except MemoryError:
            raise
        except Exception as error:  # a damaged archive fails in torch in many ways; none of them ran code
            raise self._refused(f"torch cannot read it ({_line(error)})") from error
        if not isinstance(content, Mapping):
            raise self._refused(f"it holds a {type(content).__name__}, no mapping of names to tensors")
        for name, value in content.items():
            inner = value.items() if isinstance(value, Mapping) else ()
            for full, tensor in ((f"{name}", value), *((f"{name}.{key}", part) for key, part in inner)):
                if isinstance(tensor, torch.Tensor):
                    if not full.isprintable():
                        raise self._refused(f"a tensor has the name {full!r}")
                    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
                        raise self._refused(f"tensor {full!r} of shape {tuple(tensor.shape)} is larger than its data")
                    yield full, tensor.detach()

    def _refused(self, why: str) -> SourceError:
        return SourceError(f"{self.name} is not read: {why}; {_MENDED}")


def read_rows(path: Path, name: str, rows: npt.ArrayLike) -> npt.NDArray[Any]:
    """Some rows of one tensor of a PyTorch file; see :meth:`PickledFile.read_rows`.

    Examples
    --------
    >>> import tempfile, torch
    >>> path = Path(tempfile.mkdtemp()) / "pytorch_model.bin"
    >>> torch.save({"wte.weight": torch.eye(3, dtype=torch.bfloat16)}, path)
    >>> read_rows(path, "wte.weight", [2]).tolist()
    [[0.0, 0.0, 1.0]]
    """
    return PickledFile(path).read_rows(name, rows)


def _info(name: str, tensor: torch.Tensor) -> TensorInfo:
    dtype = str(tensor.dtype).removeprefix("torch.")
    size = tensor.numel() * tensor.element_size()
    return TensorInfo(name, _NAMED.get(dtype, dtype), tuple(tensor.shape), 0, size)


def _array(tensor: torch.Tensor) -> npt.NDArray[Any]:
    import torch

    wide = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    return np.array(wide.numpy())


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160].rstrip(" .")
