"""Reads one mutated file after the other in a process that may not grow, and says what became of each.

Usage: ``python hostile_worker.py FOLDER MEGABYTES``: every line of standard input is ``KIND CASE``, a folder of FOLDER
that holds the files; every answer is a line of JSON. Started by test_hostile_files.py.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from numgeom import ModelSpec, NumberSet, NumgeomError, Representation
from numgeom_plugins.sources import numgeom_sources
from numgeom_plugins.sources.tokenizers import is_number, open_tokenizer

NUMBERS = NumberSet.parse("0..99")
COMPARED = "compared"
CARDS = {card.name: card for card in numgeom_sources()}
FORBIDDEN = ("os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess.Popen", "socket.connect")
WRITES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.truncate", "shutil.")


class Watch:
    """Notes every write and every start of a program while a file is read."""

    def __init__(self) -> None:
        self.armed = False
        self.seen: list[str] = []
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.armed:
            return
        if event == "open":
            _, mode, flags = arguments
            writes = (isinstance(mode, str) and set(mode) & set("wax+")) or (
                isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            )
            if writes and "__pycache__" not in str(arguments[0]) and str(arguments[0]) != os.devnull:
                self.seen.append(f"{event} {arguments[0]!r}")
        elif event.startswith(FORBIDDEN + WRITES):
            self.seen.append(f"{event} {arguments!r}"[:200])


def read(kind: str, folder: Path) -> list[str]:
    """What a file of that kind gives; every string says something that is wrong."""
    if kind == "tokenizer":
        tokenizer = open_tokenizer(folder)
        for number in (7, 42, 99):
            for template in NUMBERS.template, " {n}", "the {n} cats":
                ids = tokenizer.encode_number(number, template)
                if is_number(tokenizer, ids, number, template) and str(number) not in tokenizer.token_text(ids[0]):
                    return [f"{number} is not {tokenizer.token_text(ids[0])!r}"]
        return []
    path = folder if kind == "checkpoint" else next(iter(folder.iterdir()))
    card = CARDS[kind]
    rep = card.load()(ModelSpec(name="m", source=kind, id=str(path)), NUMBERS, read=card.reads[0], **card.params)
    said = wrong(rep)
    whole = by_the_library(path, kind, rep)
    if whole is not None and not np.array_equal(whole[rep.token_ids].astype(rep.matrix.dtype), rep.matrix):
        said.append("other rows than the format's own library reads")
    return said if whole is None else [*said, COMPARED]


def by_the_library(path: Path, kind: str, rep: Representation) -> np.ndarray[Any, Any] | None:
    """The whole table as the library of its format reads it; ``None`` where that refuses the file or there is none."""
    name = rep.provenance.get("tensor", "")
    try:
        if kind == "gguf":
            import gguf

            tensor = next(tensor for tensor in gguf.GGUFReader(path).tensors if tensor.name == name)
            with np.errstate(all="ignore"):
                return np.asarray(gguf.quants.dequantize(tensor.data, tensor.tensor_type))
        if kind == "checkpoint":
            file = path / rep.provenance["files"][0]
            if file.suffix == ".bin":
                import torch

                return np.asarray(torch.load(file, weights_only=True)[name])
            from safetensors.numpy import load_file

            return np.asarray(load_file(file)[name])
    except Exception:
        return None
    return None


def wrong(rep: Representation) -> list[str]:
    said = []
    if not set(rep.numbers.tolist()) <= set(NUMBERS.values) or rep.n == 0:
        said.append(f"numbers {rep.numbers.tolist()[:5]}")
    if not np.isfinite(rep.matrix).all() or (rep.random_rows is not None and not np.isfinite(rep.random_rows).all()):
        said.append("rows that are not finite")
    if rep.token_ids is not None and (len(rep.token_ids) != rep.n or rep.token_ids.min() < 0):
        said.append("token ids")
    if rep.random_rows is not None and rep.random_rows.shape[1] != rep.d:
        said.append("control of another width")
    return said


def warm_up() -> None:
    """Bring in what is imported only for doubtful files: nothing of that is a file's own doing."""
    from transformers import AutoModelForSeq2SeqLM, LlamaConfig

    tempfile.gettempdir()
    try:
        AutoModelForSeq2SeqLM.from_config(LlamaConfig())
    except ValueError:
        return  # it names all classes that it knows instead


def bound(megabytes: int) -> None:
    """From here on the process may take that much address space more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main() -> None:
    root, megabytes = Path(sys.argv[1]), int(sys.argv[2])
    watch = Watch()
    first = True
    for line in sys.stdin:
        kind, case = line.split()
        answer: dict[str, Any] = {"case": case, "kind": kind}
        began = time.perf_counter()
        watch.armed = not first
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                faults = read(kind, root / case)
            said = [fault for fault in faults if fault != COMPARED]
            answer |= {"status": "wrong" if said else "read", "said": "; ".join(said), "compared": COMPARED in faults}
        except NumgeomError as error:
            text = str(error)
            answer |= {"status": "refused" if "\n" not in text and text.strip() else "wrong", "said": text}
        except BaseException as error:
            answer |= {"status": "broke", "said": f"{type(error).__name__}: {error}"}
        watch.armed = False
        answer |= {"seconds": time.perf_counter() - began, "touched": watch.seen[:]}
        watch.seen.clear()
        print(json.dumps(answer), flush=True)
        if case.startswith("last_sound"):
            # The sound files have brought every library in: only what the hostile ones take counts from here.
            first = False
            warm_up()
            bound(megabytes)


if __name__ == "__main__":
    main()
