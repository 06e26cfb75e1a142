"""A transformer that is run for its residual stream; nothing but this module loads whole weights."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from numgeom import SourceError
from numgeom.errors import UnknownName

DTYPES = ("float32", "float64", "bfloat16", "float16")
DEVICES = ("auto", "cpu", "cuda", "mps")
# What no residual stream passes through: checkpoints without a head leave it random, and nothing is read of it.
UNUSED = ("pooler.",)


class Stack:
    """A model of transformers, ready to run.

    Parameters
    ----------
    name : str
        How messages call it.
    folder : Path
        With config, weights and tokenizer.
    device : str
        ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto`` for the first of cuda, mps and cpu that is there.
    dtype : str
        ``float32``, ``float64``, ``bfloat16`` or ``float16``: weights and activations.
    code : bool
        Whether Python files of the checkpoint may run.

    Raises
    ------
    SourceError
        If transformers cannot load it, weights are missing, or the device is not there.
    """

    def __init__(self, name: str, folder: Path, *, device: str, dtype: str, code: bool) -> None:
        import torch
        import transformers

        if dtype not in DTYPES:
            raise UnknownName("dtype", dtype, DTYPES)
        self.name = name
        self.device = find_device(device)
        with _quiet():
            try:
                model, found = transformers.AutoModel.from_pretrained(
                    folder,
                    dtype=getattr(torch, dtype),
                    output_loading_info=True,
                    local_files_only=True,
                    trust_remote_code=code,
                )
            except Exception as error:
                raise SourceError(
                    f"{name}: transformers {transformers.__version__} cannot load it to run "
                    f"({_first_line(error)}); read its input rows, or mend the folder."
                ) from error
        lost = sorted(key for key in found["missing_keys"] if not key.startswith(UNUSED))
        lost += sorted(str(entry[0]) for entry in found["mismatched_keys"])
        if lost:
            raise SourceError(
                f"{name} lacks {len(lost)} weights of its layers, such as {lost[0]!r}, which would be random; "
                "give the whole checkpoint."
            )
        self.config = model.config
        self.is_encoder = bool(getattr(model.config, "is_encoder_decoder", False))
        try:
            self.model = (model.get_encoder() if self.is_encoder else model).to(self.device).eval()
        except (RuntimeError, AssertionError) as error:
            raise SourceError(
                f"{name} does not fit on {self.device} ({_first_line(error)}); give device=cpu."
            ) from error
        self.vocabulary = int(model.get_input_embeddings().num_embeddings)

    @property
    def most_tokens(self) -> int | None:
        """Positions that the model knows; None where there is no limit."""
        limit = getattr(_text(self.config), "max_position_embeddings", None)
        return int(limit) if isinstance(limit, int) and limit > 0 else None

    def states(self, inputs: Mapping[str, Sequence[Sequence[int]]], *, raw_last: bool = False) -> list[Any]:
        """The residual stream of texts of one length.

        Parameters
        ----------
        inputs : mapping
            ``input_ids`` and its companions, ``(b, t)`` each.
        raw_last : bool
            Whether the last is the output of the last block itself, before the final norm.

        Returns
        -------
        list of Tensor, shape (b, t, d)
            What ``output_hidden_states`` gives: the embedding output, then one a block.

        Raises
        ------
        SourceError
            If the model cannot run them.
        """
        import torch

        tensors = {name: torch.tensor(rows, device=self.device) for name, rows in inputs.items()}
        caught: list[Any] = []
        hook = None
        if raw_last:
            hook = self._last_block().register_forward_hook(
                lambda module, args, output: caught.append(output if torch.is_tensor(output) else output[0])
            )
        try:
            with _quiet(), torch.inference_mode():
                found = list(self.model(**tensors, output_hidden_states=True, return_dict=True).hidden_states)
        except (RuntimeError, IndexError, TypeError, ValueError) as error:
            shape = tuple(tensors["input_ids"].shape)
            raise SourceError(
                f"{self.name} cannot run {shape[0]} texts of {shape[1]} tokens on {self.device} "
                f"({_first_line(error)}); give a smaller batch, a shorter template or another device."
            ) from error
        finally:
            if hook is not None:
                hook.remove()
        if caught:
            found[-1] = caught[-1].reshape(found[-1].shape)
        return found

    def _last_block(self) -> Any:
        """The last block: of the only list of as many modules as the config says there are blocks."""
        import torch

        count = block_count(self.config)
        lists = [m for m in self.model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == count]
        if not lists:
            raise SourceError(
                f"{self.name}: its blocks are not in a list of {count}, so the last is only read with final_norm=true."
            )
        return lists[0][-1]


def block_count(config: Any) -> int | None:
    """How many blocks a config names; None where it does not say."""
    count = getattr(_text(config), "num_hidden_layers", None)
    return count if isinstance(count, int) else None


def read_config(name: str, folder: Path, *, code: bool) -> Any:
    """The config of a checkpoint folder as transformers reads it.

    Raises
    ------
    SourceError
    """
    import transformers

    with _quiet():
        try:
            return transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=code)
        except Exception as error:
            raise SourceError(
                f"{name}: transformers {transformers.__version__} does not know this config.json "
                f"({_first_line(error)}); read its input rows, or install a newer transformers."
            ) from error


def read_tokenizer(name: str, folder: Path, *, code: bool) -> Any:
    """The tokenizer of a checkpoint folder as transformers reads it, special tokens included.

    Raises
    ------
    SourceError
    """
    import transformers

    file = folder / "tokenizer.json"
    problems: list[Exception] = []
    with _quiet():
        try:
            return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=code)
        except Exception as error:
            problems.append(error)
        try:
            if file.is_file():
                fast: Any = transformers.PreTrainedTokenizerFast
                return fast(tokenizer_file=str(file))
        except Exception as error:
            problems.append(error)
    raise SourceError(
        f"{name}: transformers {transformers.__version__} cannot read its tokenizer ({_first_line(problems[-1])}); "
        "put the model's tokenizer.json into the folder."
    ) from problems[-1]


def find_device(name: str) -> str:
    """The device that a name stands for.

    Raises
    ------
    SourceError
        If it is not one, or not there.

    Examples
    --------
    >>> find_device("cpu")
    'cpu'
    """
    import torch

    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there.insert(0, "cuda")
    kind, colon, index = name.partition(":")
    if kind not in DEVICES or (colon and not (kind == "cuda" and index.isdigit())):
        raise SourceError(f"device {name!r} is not known; write auto, cpu, cuda, cuda:1 or mps.")
    if kind == "auto" and not colon:
        return there[0]
    if kind not in there or (colon and int(index) >= torch.cuda.device_count()):
        raise SourceError(f"device {name!r} is not there; torch {torch.__version__} sees {', '.join(there)}.")
    return name


def to_rows(states: Any, positions: Sequence[int]) -> npt.NDArray[Any]:
    """``(b, d)``: one position of each text, half precision widened to float32."""
    import torch

    picked = states[torch.arange(len(positions), device=states.device), torch.tensor(positions, device=states.device)]
    wide = picked.float() if picked.dtype in (torch.float16, torch.bfloat16) else picked
    return np.asarray(wide.cpu().numpy())


def _text(config: Any) -> Any:
    """The text part of a config: multimodal ones nest it."""
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def _first_line(error: BaseException) -> str:
    text = (str(error).strip().splitlines() or [""])[0][:160].rstrip(" .")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """What transformers prints and warns of while loading and running is no matter of the user's."""
    from transformers import utils

    logging: Any = utils.logging
    level, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bar:
            logging.enable_progress_bar()
