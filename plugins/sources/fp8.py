"""Eight-bit floats: their values, and the scales that checkpoints store beside them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from numgeom import SourceError

if TYPE_CHECKING:
    from numgeom_plugins.sources.safetensors_rows import TensorInfo

Block = tuple[int, int]
TYPES = {"F8_E4M3": (4, 3), "F8_E5M2": (5, 2)}
# What the names of scales add to that of their tensor. Both are factors: the inverse is that of the quantisation.
SCALES = ("_scale", "_scale_inv")
BLOCK = (128, 128)


@cache
def values(dtype: str) -> npt.NDArray[np.float32]:
    """The value of each of the 256 bytes.

    Parameters
    ----------
    dtype : {"F8_E4M3", "F8_E5M2"}
        Exponent and mantissa bits. E4M3 has no infinities and is NaN only where all bits but the sign are set;
        E5M2 has those of IEEE 754.

    Returns
    -------
    ndarray of float32, shape (256,)

    References
    ----------
    Micikevicius et al. 2022, arXiv:2209.05433.

    Examples
    --------
    >>> float(values("F8_E4M3")[0x7E]), float(values("F8_E5M2")[0x7B])
    (448.0, 57344.0)
    """
    exponent_bits, mantissa_bits = TYPES[dtype]
    bits = np.arange(256)
    sign = np.where(bits & 0x80, -1.0, 1.0)
    exponent = (bits & 0x7F) >> mantissa_bits
    fraction = (bits & (2**mantissa_bits - 1)) / 2**mantissa_bits
    bias = 2 ** (exponent_bits - 1) - 1
    size = np.where(exponent > 0, (1 + fraction) * 2.0 ** (exponent - bias), fraction * 2.0 ** (1 - bias))
    top = exponent == 2**exponent_bits - 1
    if dtype == "F8_E4M3":
        size[(bits & 0x7F) == 0x7F] = np.nan
    else:
        size[top] = np.where(fraction[top] > 0, np.nan, np.inf)
    table: npt.NDArray[np.float32] = np.asarray(sign * size, dtype=np.float32)
    table.setflags(write=False)
    return table


def block_of(quantizations: Iterable[Any]) -> Block:
    """Rows and columns that share a number of a block-wise scale, as the first config that says it.

    Parameters
    ----------
    quantizations : iterable
        The ``quantization_config`` of each config, whatever it is.

    Examples
    --------
    >>> block_of([None, {"weight_block_size": [64, 128]}]), block_of([])
    ((64, 128), (128, 128))
    """
    for one in quantizations:
        size = one.get("weight_block_size") if isinstance(one, dict) else None
        if isinstance(size, list) and len(size) == 2 and all(type(count) is int and count > 0 for count in size):
            return size[0], size[1]
    return BLOCK


def check(scale: TensorInfo, table: TensorInfo, block: Block) -> None:
    """Refuse a scale that belongs to no table of this shape, before it is read.

    Parameters
    ----------
    scale, table : TensorInfo
        What the header says of each.
    block : tuple of int

    Raises
    ------
    SourceError
    """
    count, width = table.shape
    blocks = (-(-count // block[0]), -(-width // block[1]))
    if scale.dtype not in ("F16", "BF16", "F32") or scale.shape not in ((), (1,), (1, 1), (count,), (count, 1), blocks):
        raise SourceError(
            f"{scale.name!r}, the scale of {table.name!r} of shape {table.shape}, has type {scale.dtype} and shape "
            f"{scale.shape}: neither one number, nor one a row, nor one for each block of {block[0]}x{block[1]}; take "
            "an unquantised checkpoint."
        )


def scale_of(
    scale: npt.NDArray[np.float32], rows: npt.NDArray[np.int64], shape: tuple[int, ...], block: Block
) -> npt.NDArray[np.float32]:
    """The factor of each element of some rows.

    Parameters
    ----------
    scale : ndarray
        Of a shape that :func:`check` lets through.
    rows : ndarray of int, shape (k,)
    shape : tuple of int
        Of the whole matrix.
    block : tuple of int
        Rows and columns that share a number.

    Returns
    -------
    ndarray of float32, broadcasts to shape (k, d)

    Examples
    --------
    >>> blocks = np.array([[1, 2], [3, 4]], dtype=np.float32)
    >>> scale_of(blocks, np.array([0, 3]), (4, 3), (2, 2)).tolist()
    [[1.0, 1.0, 2.0], [3.0, 3.0, 4.0]]
    """
    count, width = shape
    if scale.size == 1:
        return scale.reshape(1, 1)
    if scale.shape in ((count,), (count, 1)):
        of_each: npt.NDArray[np.float32] = scale.reshape(count, 1)[rows]
        return of_each
    of_rows: npt.NDArray[np.float32] = scale[rows // block[0]]
    return of_rows[:, np.arange(width) // block[1]]
