"""The command line as a user meets it: tables, files, one line for every mistake, and the right exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from numgeom.cli import main

DROPIN = """
import numpy as np
from numgeom import ConvergenceSpec, ReducerSpec, hookimpl

def same_sign(a, b):
    return float((np.sign(np.diff(a.matrix[:, 0])) == np.sign(np.diff(b.matrix[:, 0]))).mean())

@hookimpl
def numgeom_convergence_metrics():
    return [ConvergenceSpec(name="same_sign", summary="steps of one sign", target=same_sign, range=(0, 1))]

@hookimpl
def numgeom_reducers():
    return [ReducerSpec(name="my_ica", summary="independent components", target="sklearn.decomposition:FastICA",
                        params={"n_components": 2, "whiten": "unit-variance"})]
"""


class Result:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def numgeom(capfd: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    def run(*arguments: object) -> Result:
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
        captured = capfd.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.npz"
    values = np.arange(40)
    noise = np.random.default_rng(0).standard_normal((40, 5))
    np.savez(path, numbers=noise + np.sin(values)[:, None], number_values=values, random=noise[::-1].repeat(2, 0))
    return path


PAIR = ("synthetic:helix", "synthetic:walk", "--numbers", "0..59", "--draws", "19")


def test_compare_prints_tables_and_says_how_to_keep_them(numgeom) -> None:  # type: ignore[no-untyped-def]
    found = numgeom("compare", *PAIR)
    assert found.code == 0
    assert "cka_linear_debiased, numbers 0..59 (higher is closer)" in found.out
    assert "verdict" in found.out
    assert "order_modes keeps order" in found.out
    assert "give --out DIR" in found.err


def test_everything_is_written_where_out_says(numgeom, tmp_path: Path, rows_file: Path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "out"
    found = numgeom("compare", *PAIR, rows_file, "--numbers", "0..39", "--reducers", "none,pca", "--out", out)
    assert found.code == 0, found.err
    frame = pd.read_parquet(out / "results.parquet")
    assert len(pd.read_csv(out / "results.csv")) == len(frame)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["experiment"]["draws"] == 19
    names = {path.name for path in (out / "tables").iterdir()}
    assert {name for name in names if name.startswith("matrix") and name.endswith(".png")}
    assert {name for name in names if name.startswith("reduction") and name.endswith(".png")}
    assert {name for name in names if name.startswith("convergence") and name.endswith(".md")}
    assert numgeom("report", out).code == 0
    page = (out / "report.html").read_text()
    assert page.count("<img ") == len([name for name in names if name.endswith(".png")])
    assert "<script" not in page
    missing = numgeom("report", tmp_path / "nowhere")
    assert missing.code == 2
    assert "give the --out folder of a run" in missing.err


def test_json_is_the_long_table(numgeom) -> None:  # type: ignore[no-untyped-def]
    rows = json.loads(numgeom("compare", *PAIR, "--metrics", "cka_linear", "--json").out)["rows"]
    assert [row["null"] for row in rows] == ["row_permutation", "order_modes"]
    assert all(isinstance(row["value"], float) for row in rows)


def test_a_drop_in_file_of_fifteen_lines_adds_a_reducer_and_a_metric(numgeom, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert len([line for line in DROPIN.splitlines() if line.strip()]) <= 15
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "signs.py").write_text(DROPIN)
    found = numgeom(
        "compare", *PAIR, "--metrics", "same_sign", "--reducers", "none,my_ica", "--plugins-dir", folder, "--json"
    )
    assert found.code == 0, found.err
    frame = pd.DataFrame(json.loads(found.out)["rows"])
    pairs = frame[frame["kind"] == "convergence"]
    assert set(zip(pairs["reducer"], pairs["null"], strict=True)) == {
        (space, null) for space in ("none", "my_ica") for null in ("row_permutation", "order_modes")
    }
    assert pairs["p"].notna().all()
    judged = frame[(frame["kind"] == "reduction") & (frame["reducer"] == "my_ica")]
    assert {"random_tokens", "row_permutation"} == set(judged["null"])
    assert judged["null_mean"].notna().all()
    listed = numgeom("list", "metrics", "--plugins-dir", folder)
    assert "same_sign" in listed.out


@pytest.mark.parametrize("kind", ["models", "suites", "metrics", "reducers", "sources", "probes", "nulls", "renderers"])
def test_every_kind_is_listed(numgeom, kind: str) -> None:  # type: ignore[no-untyped-def]
    names = [row["name"] for row in json.loads(numgeom("list", kind, "--json").out)]
    assert names
    assert len(names) == len(set(names))
    table = numgeom("list", kind).out
    assert all(name in table for name in names)


def test_geometry_puts_controls_below_each_value(numgeom, rows_file: Path) -> None:  # type: ignore[no-untyped-def]
    found = numgeom("geometry", rows_file, "--numbers", "0..39", "--draws", "19", "--reducers", "pca")
    assert found.code == 0, found.err
    assert "variance_spectrum, numbers 0..39" in found.out
    assert "iid_gaussian mean" in found.out
    assert "fidelity of pca" in found.out


MISTAKES = [
    (("compare", "synthetic:lin", "synthetic:walk"), "Allowed|allowed|choose", "line"),
    (("compare", "synthetic:line", "synthetic:walk", "--metrics", "cka_linaer"), "did you mean 'cka_linear'", ""),
    (("compare", "synthetic:line", "synthetic:walk", "--nulls", "order_mode"), "did you mean 'order_modes'", ""),
    (("compare", "synthetic:line", "synthetic:walk", "--reducers", "pcaa"), "did you mean 'pca'", ""),
    (("compare", "synthetic:line", "synthetic:walk", "--numbers", "0-9"), "write for example 0..999", ""),
    (("compare", "synthetic:line", "synthetic:walk", "--draws", "2"), "greater than or equal to 9", ""),
    (("compare", "synthetic:line", "synthetic:walk", "--preprocess", "centre"), "did you mean 'center'", ""),
    (("compare", "synthetic:line"), "at least two models", ""),
    (("compare", "demo_llama", "synthetic:walk"), "unknown model 'demo_llama'; did you mean 'demo_llama_", ""),
    (("compare", "org/name", "synthetic:walk"), "type hf:org/name", ""),
    (("run", "quickstrat"), "did you mean 'quickstart'", ""),
    (("list", "metric"), "did you mean 'metrics'", ""),
    (("compare", "a", "b", "--registry", "nowhere.toml"), "give --registry an existing", ""),
    (("compare", "a", "b", "--plugins-dir", "nowhere"), "name a folder with --plugins-dir", ""),
    (("geometry", "tokenizer:nowhere.json"), "hold no rows|only numgeom probe", ""),
    (("probe", "synthetic:line"), "has no tokenizer", ""),
    (("compare", "synthetic:line", "synthetic:walk", "--backend", "loki"), "did you mean 'loky'", ""),
    (("compare", "synthetic:line", "synthetic:walk", "--metrics", "mutual_knn_cosine(k=abc)"), "must be a number", ""),
    (("compare", "synthetic:line", "synthetic:walk", "--out", "/proc/nowhere"), "give --out another folder", ""),
]


@pytest.mark.parametrize(("arguments", "says", "also"), MISTAKES, ids=[" ".join(m[0])[:60] for m in MISTAKES])
def test_a_mistake_is_one_line_and_exit_two(numgeom, arguments: tuple[str, ...], says: str, also: str) -> None:  # type: ignore[no-untyped-def]
    import re

    found = numgeom(*arguments)
    assert found.code == 2
    lines = [line for line in found.err.splitlines() if re.search(says, line)]
    assert len(lines) >= 1, found.err
    assert also in lines[0]
    assert "Traceback" not in found.err


def test_one_bad_model_does_not_stop_the_others(numgeom, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    bad = tmp_path / "empty"
    bad.mkdir()
    found = numgeom("compare", *PAIR, f"bad={bad}", "--metrics", "cka_linear")
    assert found.code == 2
    assert "beyond" in found.out
    assert len([line for line in found.err.splitlines() if line.startswith("numgeom: error: bad")]) == 1


def test_an_unknown_model_is_an_error_row_and_the_others_go_on(numgeom) -> None:  # type: ignore[no-untyped-def]
    found = numgeom("compare", *PAIR, "demo_lama_a", "./nowhere", "--metrics", "cka_linear")
    assert found.code == 2
    assert "beyond" in found.out
    assert "did you mean 'demo_llama_a'" in found.err
    assert "there is no file or folder './nowhere'" in found.err


def test_models_that_share_no_numbers_are_a_row_with_the_reason(numgeom, rows_file: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    far = tmp_path / "far.npz"
    np.savez(far, numbers=np.random.default_rng(0).standard_normal((9, 3)), number_values=np.arange(90, 99))
    found = numgeom("compare", rows_file, far, "--metrics", "cka_linear")
    assert found.code == 2
    assert "share 0 numbers of 0..999; at least 4 are needed" in found.err


def test_a_failing_plugin_is_told_and_the_rest_works(numgeom, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "late.py").write_text(
        "from numgeom import hookimpl\n@hookimpl\ndef numgeom_nulls():\n    yield from ()\n    raise OSError('late')\n"
    )
    found = numgeom("compare", *PAIR, "--metrics", "cka_linear", "--plugins-dir", folder)
    assert found.code == 0
    assert "plugin 'late' failed: OSError: late" in found.err
    assert "late" in numgeom("plugins", "--plugins-dir", folder).out
    missing = numgeom("compare", *PAIR, "--nulls", "of_late", "--plugins-dir", folder)
    assert missing.code == 2
    assert "Plugins that failed to load: 'late'" in missing.err


def test_a_bug_keeps_its_traceback_and_exits_with_one(tmp_path: Path) -> None:
    program = "import numgeom.registry as r\ndef broken(*a, **k): raise KeyError('bug')\nr.load_registry = broken\n"
    program += "from numgeom.cli import main\nmain(['list', 'metrics'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "KeyError: 'bug'" in done.stderr


def test_version_and_help(numgeom) -> None:  # type: ignore[no-untyped-def]
    assert numgeom("--version").out.startswith("numgeom 0.")
    for verb in ("compare", "run", "probe", "geometry", "list", "plugins", "check", "report"):
        found = numgeom(verb, "--help")
        assert found.code == 0
        assert "--json" in found.out
        assert "--plugins-dir" in found.out
