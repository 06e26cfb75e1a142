"""A Hugging Face folder, here or elsewhere: its config, and which file holds which tensor."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from numgeom import SourceError
from numgeom_plugins.sources import pickled_rows
from numgeom_plugins.sources.links import confined
from numgeom_plugins.sources.pickled_rows import PickledFile
from numgeom_plugins.sources.safetensors_rows import SafetensorsFile, TensorInfo

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
INDEX_SUFFIX = ".safetensors.index.json"
MOST_JSON_BYTES = 32_000_000
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
TEXT_CONFIGS = ("text_config", "llm_config", "language_config", "text", "decoder", "thinker_config")


class CheckpointFolder:
    """Weights and config of one checkpoint; shards are opened when their tensors are asked for.

    Parameters
    ----------
    path : Path
        The folder.
    files : iterable of str, optional
        Names of all files that the checkpoint has; by default those in the folder.
    fetch : callable, optional
        ``(file name) -> Path``: brings a file that is not in the folder. Without it such a file is an error.
    name : str, optional
        How messages call it; by default its path.
    remote : callable, optional
        ``(file name) -> SafetensorsFile``: opens a weights file that is not in the folder where it lies.

    Raises
    ------
    SourceError
        If there are no safetensors weights, or config or index are not what they should be.
    """

    def __init__(
        self,
        path: Path,
        files: Iterable[str] | None = None,
        fetch: Callable[[str], Path] | None = None,
        *,
        name: str = "",
        remote: Callable[[str], SafetensorsFile] | None = None,
    ) -> None:
        self.path = path
        self.name = name or repr(str(path))
        if files is None:
            if not path.is_dir():
                what = "is a file" if path.exists() else "does not exist"
                raise SourceError(f"checkpoint {str(path)!r} {what}; give the folder with config.json and safetensors.")
            files = [found.name for found in path.iterdir() if found.is_file()]
        self.files = sorted(files)
        self._fetch = fetch
        self._remote = remote
        self._open: dict[str, SafetensorsFile | PickledFile] = {}
        self._where = self._locate()

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """``config.json``; empty where there is none."""
        if "config.json" not in self.files:
            return {}
        return self._json("config.json")

    @property
    def text_configs(self) -> list[Mapping[str, Any]]:
        """The config and its text parts: multimodal configs nest the vocabulary."""
        found: list[Mapping[str, Any]] = [self.config]
        for config in found:
            found.extend(config[key] for key in TEXT_CONFIGS if isinstance(config.get(key), dict))
        return found

    @property
    def tensors(self) -> list[str]:
        """Names of all tensors."""
        return list(self._where)

    def file_of(self, tensor: str) -> str:
        """Name of the file that holds ``tensor``."""
        return self._where[tensor]

    @property
    def notes(self) -> list[str]:
        """What should be said of the way its files were read."""
        return [note for file in self._open.values() if isinstance(file, SafetensorsFile) for note in file.notes]

    def info(self, tensor: str) -> TensorInfo | None:
        """Type and shape of ``tensor``; ``None`` while the file that holds it is neither here nor open."""
        shard = self._where[tensor]
        here = shard in self._open or (self.path / shard).is_file()
        return self.open(tensor).tensor(tensor) if here else None

    def open(self, tensor: str) -> SafetensorsFile | PickledFile:
        """The file that holds ``tensor``, where it lies; a file that cannot be read there is brought here.

        Raises
        ------
        SourceError
            If the file is missing, broken, or does not hold what the index says.
        """
        shard = self._where[tensor]
        if shard not in self._open:
            file = self._weights(shard, f"tensor {tensor!r}")
            lost = [name for name, where in self._where.items() if where == shard and name not in file.tensors]
            if lost:
                raise SourceError(
                    f"{self._index_name} of {self.name} says that {shard} holds {lost[0]!r}, but it does not; "
                    "download the checkpoint again."
                )
            self._open[shard] = file
        return self._open[shard]

    def _locate(self) -> dict[str, str]:
        """Tensor name to file name, in the order of preference that transformers has."""
        shards = [name for name in self.files if name.endswith(".safetensors")]
        indices = [name for name in self.files if name.endswith(INDEX_SUFFIX)]
        if SINGLE in shards:
            return self._of_single(SINGLE)
        if INDEX in indices or len(indices) == 1:
            return self._of_index(INDEX if INDEX in indices else indices[0])
        if len(shards) == 1:
            return self._of_single(shards[0])
        if shards:
            raise SourceError(
                f"{self.name} holds {len(shards)} safetensors files but no {INDEX}, so which belong together "
                "is not known; save the model again with save_pretrained, or put one checkpoint into the folder."
            )
        pickles = [name for name in self.files if name.endswith(PICKLES)]
        if pickled_rows.INDEX in self.files:
            return self._of_index(pickled_rows.INDEX)
        if pickled_rows.SINGLE in pickles or len(pickles) == 1:
            return self._of_single(pickled_rows.SINGLE if pickled_rows.SINGLE in pickles else pickles[0])
        if pickles:
            raise SourceError(
                f"{self.name} holds {len(pickles)} pickles but neither {pickled_rows.SINGLE} nor {pickled_rows.INDEX}, "
                "so which are its weights is not known; save the model again with save_pretrained."
            )
        listed = ", ".join(self.files[:8]) + (", ..." if len(self.files) > 8 else "")
        raise SourceError(
            f"{self.name} holds no weights ({SINGLE} or {INDEX}); it holds: {listed or '(nothing)'}. "
            "Give a Hugging Face checkpoint folder; for a tokenizer alone type tokenizer:PATH."
        )

    def _of_single(self, name: str) -> dict[str, str]:
        file = self._weights(name, "the weights")
        self._open[name] = file
        return dict.fromkeys(file.tensors, name)

    def _of_index(self, name: str) -> dict[str, str]:
        self._index_name = name
        weights = self._json(name).get("weight_map")
        if not isinstance(weights, dict) or not weights:
            raise SourceError(f"{name} of {self.name} has no weight_map; download the checkpoint again.")
        for tensor, shard in weights.items():
            # A shard is a file of this folder: an index may not lead out of it.
            if not _is_file_name(shard) or not tensor.isprintable():
                raise SourceError(
                    f"{name} of {self.name} places {tensor!r} in {str(shard)[:80]!r}; only file names without folders "
                    "are allowed there."
                )
        return weights

    def _weights(self, name: str, what: str) -> SafetensorsFile | PickledFile:
        elsewhere = self._remote is not None and not (self.path / name).is_file()
        if name.endswith(PICKLES):
            if elsewhere:
                raise SourceError(
                    f"{self.name} holds its weights as pickles only ({name}), of which no rows can be read from afar; "
                    f"download it whole (hf download ORG/NAME, at the same revision), or give one with safetensors."
                )
            return PickledFile(self._bring(name, what))
        if self._remote is not None and elsewhere:
            return self._remote(name)
        return SafetensorsFile(self._bring(name, what))

    def _bring(self, name: str, what: str) -> Path:
        path = self.path / name
        if path.is_file():
            # A folder that we fetch into is the hub's cache, whose links are its own.
            return path if self._fetch is not None else confined(path, self.path)
        if self._fetch is not None:
            return self._fetch(name)
        raise SourceError(f"{self.name} lacks {name}, which holds {what}; download the missing file into the folder.")

    def _json(self, name: str) -> dict[str, Any]:
        path = self._bring(name, "the description of the checkpoint")
        try:
            if path.stat().st_size > MOST_JSON_BYTES:
                raise SourceError(
                    f"{str(path)!r} has more than {MOST_JSON_BYTES:,} bytes; download the checkpoint again."
                )
            content = json.loads(path.read_bytes())
        except OSError as error:
            raise SourceError(f"cannot read {str(path)!r}: {error.strerror or error}; check the path.") from error
        except (ValueError, RecursionError):
            raise SourceError(f"{str(path)!r} is not JSON; download the checkpoint again.") from None
        if not isinstance(content, dict):
            raise SourceError(f"{str(path)!r} is not a JSON object; download the checkpoint again.")
        return content


def _is_file_name(name: Any) -> bool:
    plain = isinstance(name, str) and name not in ("", ".", "..") and name.isprintable() and len(name) < 128
    return plain and PurePosixPath(name).name == name
