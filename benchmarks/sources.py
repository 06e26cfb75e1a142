"""Rows over the network against whole models, in one run: python benchmarks/sources.py [--latency 0.05].

A hub on the loopback answers every request late by ``--latency``. First 1,000 number tokens (and 1,000 random ones,
their control) of models of the shape of a 7B one, 14 GB in six sparse shards; then a smaller model once by its rows
and once by ``AutoModel.from_pretrained``. Each reading is a process of its own: seconds include its imports.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# The hub of the tests, which counts what it sends.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from big_checkpoint import write_big_checkpoint
from hub_server import Hub, Repository, serving

ROWS = """
from numgeom import ModelSpec, NumberSet
from numgeom_plugins.sources.hub import read_hub
rep = read_hub(ModelSpec(name="m", source="hf", id="org/model"), NumberSet.parse("0..999"), read="input")
assert all((rep.matrix[n] == 1 + (n % 128) / 128).all() for n in range(1000))
"""
WHOLE = """
from transformers import AutoModel
from transformers.utils import logging
logging.set_verbosity_error()
logging.disable_progress_bar()
table = AutoModel.from_pretrained("org/model").get_input_embeddings().weight
assert table.shape[1] > 0
"""
MEASURED = """
import json, time
from pathlib import Path
began = time.perf_counter()
{code}
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
print(json.dumps([time.perf_counter() - began, peak / 1024]))
"""


def reading(hub: Hub, code: str, home: Path) -> None:
    """Print what one reading costs."""
    hub.forget()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    env = {**kept, "HF_HOME": str(home), "HF_ENDPOINT": hub.url, "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", MEASURED.format(code=code)], env=env, stdout=subprocess.PIPE, text=True, check=True
    )
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    ranges = sum(bool(one.range) for one in hub.to("cdn"))
    print(f"{hub.sent() / 1e6:10.1f} {seconds:9.2f} {peak:9.0f} {len(hub.to('hub')):10} {ranges:11}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds that every answer is late")
    latency = parser.parse_args().latency
    print(f"{'':44} {'MB sent':>10} {'seconds':>9} {'peak MB':>9} {'hub calls':>10} {'CDN ranges':>11}")
    with tempfile.TemporaryDirectory() as folder, serving() as hub:
        hub.latency = latency
        hub.large = (".safetensors", "tokenizer.json")
        shapes = {"7B, 32,000 tokens": (32_000, 4096, 32), "7B, 128,000 tokens": (128_000, 4096, 32)}
        for name, (vocabulary, width, layers) in {**shapes, "0.3B, 50,000 tokens": (50_000, 1024, 16)}.items():
            where = Path(folder) / name.replace(" ", "")
            files = write_big_checkpoint(where, vocabulary, width=width, layers=layers)
            size = sum(path.stat().st_size for path in files.values()) / 1e9
            hub.repositories["org/model"] = Repository({f"{vocabulary:040}": dict(files)})
            runs = {"its rows": ROWS, "its rows, again": ROWS}
            for what, code in runs.items():
                print(f"{f'{name} ({size:.1f} GB): {what}':44}", end=" ", flush=True)
                reading(hub, code, where / "home")
        print(f"{'   AutoModel.from_pretrained':44}", end=" ", flush=True)
        reading(hub, WHOLE, where / "whole")


if __name__ == "__main__":
    main()
