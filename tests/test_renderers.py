"""Renderers: what is written reads back, hostile strings stay text, and pictures show what they claim."""

from __future__ import annotations

import inspect
import io
import re
import subprocess
import sys
from csv import DictReader
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from matplotlib.image import imread
from rich.console import Console
from safetensors.numpy import load_file

from numgeom import Incompatible, RendererSpec, Table
from numgeom_plugins.renderers import numgeom_renderers
from numgeom_plugins.renderers.cells import cell_text, number_text
from numgeom_plugins.renderers.data import csv, parquet
from numgeom_plugins.renderers.heatmap import heatmap
from numgeom_plugins.renderers.html import html
from numgeom_plugins.renderers.latex import latex
from numgeom_plugins.renderers.markdown import escape, markdown
from numgeom_plugins.renderers.scatter import scatter
from numgeom_plugins.renderers.terminal import print_table, terminal

CARDS: dict[str, RendererSpec] = {card.name: card for card in numgeom_renderers()}
HOSTILE = '<script>alert(1)</script> a|b_c_ [x](y) $1^2$ 5% #3 & {z} \\ `t` "q" ~\nnext'


def long_table() -> Table:
    frame = pd.DataFrame(
        {
            "metric": ["cka_linear_debiased"] * 3,
            "model_a": ["olmo", HOSTILE, "olmo"],
            "n": pd.array([1000, 521, None], dtype="Int64"),
            "value": [1 / 3, 0.1 + 0.2, np.nan],
            "p": [1 / 201, 1e-17, np.nan],
            "status": ["ok", "ok", "skipped"],
            "reason": [None, None, "needs 4 numbers"],
        }
    )
    return Table("long", "long", f"Scores of {HOSTILE}", frame, (f"note on {HOSTILE}", "second note"))


def text_of(path: Path) -> str:
    return path.read_bytes().decode("utf-8")


def test_listing_the_cards_imports_no_heavy_package() -> None:
    code = (
        "import sys, numgeom_plugins.renderers as r; list(r.numgeom_renderers());"
        "print([m for m in ('matplotlib', 'seaborn', 'pandas', 'rich', 'jinja2', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("card", CARDS.values(), ids=lambda card: card.name)
def test_cards_say_what_their_functions_take(card: RendererSpec) -> None:
    signature = inspect.signature(card.load())
    if card.tables == {"report"}:
        assert list(signature.parameters) == ["tables", "path", "manifest"]
        return
    assert list(signature.parameters)[:2] == ["table", "path"]
    defaults = {name: p.default for name, p in signature.parameters.items() if name not in ("table", "path")}
    assert defaults == dict(card.params)


# Numbers as text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.98765432, "0.9877"),
        (1 / 201, "0.004975"),
        (1.0, "1"),
        (442.0, "442"),
        (1234.56, "1235"),
        (123456.7, "123457"),
        (2.5e7, "2.5e+07"),
        (1.23456e-17, "1.235e-17"),
        (-0.0, "0"),
        (-0.51239, "-0.5124"),
        (float("nan"), ""),
        (float("inf"), "inf"),
    ],
)
def test_numbers_have_four_significant_digits(value: float, text: str) -> None:
    assert number_text(value) == text


def test_other_cells_are_what_they_are() -> None:
    values = [None, pd.NA, pd.NaT, np.float32(0.5), np.int64(7), np.True_, "x", (1, 0.25), 10**12]
    assert [cell_text(v) for v in values] == ["", "", "", "0.5", "7", "yes", "x", "1, 0.25", "1000000000000"]


# Data


def test_csv_reads_back_to_the_last_digit(tmp_path: Path) -> None:
    table = long_table()
    csv(table, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        back = list(DictReader(file))
    assert [float(row["value"]) for row in back[:2]] == [1 / 3, 0.1 + 0.2]
    assert [float(row["p"]) for row in back[:2]] == [1 / 201, 1e-17]
    assert [row["n"] for row in back] == ["1000", "521", ""]
    assert back[2]["value"] == ""
    assert back[1]["model_a"] == HOSTILE
    assert b"\r" not in (tmp_path / "t.csv").read_bytes()


def test_parquet_reads_back_with_its_types(tmp_path: Path) -> None:
    table = long_table()
    parquet(table, tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "t.parquet"), table.frame, check_exact=True)


def test_parquet_writes_a_column_of_mixed_types_as_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"value": pd.Series([1000, "digit", None, 0.5], dtype=object)})
    parquet(Table("probe", "probe", "", frame), tmp_path / "t.parquet")
    assert pd.read_parquet(tmp_path / "t.parquet")["value"].fillna("-").tolist() == ["1000", "digit", "-", "0.5"]
    assert frame["value"][0] == 1000


# Text


def test_markdown_is_one_table_whatever_the_strings_hold(tmp_path: Path) -> None:
    markdown(long_table(), tmp_path / "t.md")
    lines = text_of(tmp_path / "t.md").splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + 3
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}
    assert rows[1] == "| --- | --- | ---: | ---: | ---: | --- | --- |"
    assert rows[2] == "| cka_linear_debiased | olmo | 1000 | 0.3333 | 0.004975 | ok |  |"
    assert rows[4] == "| cka_linear_debiased | olmo |  |  |  | skipped | needs 4 numbers |"
    assert lines[-1] == "- second note"
    assert "<" not in text_of(tmp_path / "t.md")


def test_markdown_leaves_names_readable() -> None:
    assert escape("all_minilm_l6_v2") == "all_minilm_l6_v2"
    assert escape("_x_ *y*") == r"\_x\_ \*y\*"


def test_latex_escapes_everything_that_it_would_run(tmp_path: Path) -> None:
    latex(long_table(), tmp_path / "t.tex")
    text = text_of(tmp_path / "t.tex")
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    rows = body.splitlines()[1:]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [6, 6, 6]
    assert rows[0] == r"cka\_linear\_debiased & olmo & 1000 & 0.3333 & 0.004975 & ok &  \\"
    safe = re.sub(
        r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar|textquotedbl)\{\}", "", text
    )
    safe = re.sub(r"\\[&%$#_{}]", "", safe)
    assert not re.search(r"[$#^~_<>|]", safe)
    assert safe.count("{") == safe.count("}")
    assert r"\begin{tabular}{llrrrll}" in text
    assert text.count(r"\par\footnotesize") == 2


def test_latex_row_cannot_be_read_as_an_option_of_the_row_before(tmp_path: Path) -> None:
    latex(Table("t", "probe", "", pd.DataFrame({"token": ["[1cm]", "*"]})), tmp_path / "t.tex")
    assert "{}[1cm] \\\\\n{}* \\\\" in text_of(tmp_path / "t.tex")


class _Page(HTMLParser):
    """Tags and text of a page, as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.cells: list[str] = []
        self._open = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "td":
            self.cells.append("")
        self._open = tag == "td"

    def handle_endtag(self, tag: str) -> None:
        self._open = self._open and tag != "td"

    def handle_data(self, data: str) -> None:
        if self._open:
            self.cells[-1] += data


def test_html_shows_hostile_strings_and_runs_none(tmp_path: Path) -> None:
    table = long_table()
    table.frame.loc[0, "status"] = '"><img src=x onerror=alert(1)>'
    html(table, tmp_path / "t.html")
    page = _Page(text_of(tmp_path / "t.html"))
    assert {"script", "img", "b"}.isdisjoint(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href")]
    assert page.cells[8] == HOSTILE
    assert page.cells[:5] == ["cka_linear_debiased", "olmo", "1000", "0.3333", "0.004975"]
    assert ("title", repr(1 / 3)) in page.attributes
    assert ("class", "status-skipped") in page.attributes
    assert page.tags.count("tr") == 4


def test_html_page_needs_nothing_else_and_a_fragment_is_only_the_table(tmp_path: Path) -> None:
    html(long_table(), tmp_path / "page.html")
    html(long_table(), tmp_path / "part.html", fragment=True)
    page, part = text_of(tmp_path / "page.html"), text_of(tmp_path / "part.html")
    assert page.startswith("<!doctype html>")
    assert "default-src 'none'" in page
    assert "http:" not in page + part
    assert "https:" not in page + part
    assert part.startswith("<table")
    assert part in page


def test_terminal_text_is_as_wide_as_its_table(tmp_path: Path) -> None:
    terminal(long_table(), tmp_path / "t.txt")
    text = text_of(tmp_path / "t.txt")
    assert "0.004975" in text
    assert "cka_linear_debiased" in text
    assert "second note" in text
    assert "…" not in text


def test_narrow_terminal_cuts_no_number(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"model": ["olmo", "llama"], "metric": "cka", **{f"m{k}": rng.random(2) for k in range(12)}})
    table = Table("t", "convergence", "Scores", frame)
    for width in (30, 60, 200):
        terminal(table, tmp_path / "t.txt", width=width)
        text = text_of(tmp_path / "t.txt")
        assert max(map(len, text.splitlines())) <= width
        for value in frame[[f"m{k}" for k in range(12)]].to_numpy().ravel():
            assert number_text(value) in text
    terminal(table, tmp_path / "t.txt", width=60)
    assert "in every row: metric cka" in text_of(tmp_path / "t.txt")
    assert text_of(tmp_path / "t.txt").count("llama") > 1


def test_terminal_takes_square_brackets_as_text() -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    print_table(Table("t", "probe", "[bold]title[/bold]", pd.DataFrame({"token": ["[red]x[/red]"]})), console)
    shown = console.export_text()
    assert "[red]x[/red]" in shown
    assert "[bold]title[/bold]" in shown


@pytest.mark.parametrize("name", ["markdown", "csv", "parquet", "latex", "terminal", "html"])
def test_empty_table_is_a_header(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"t{CARDS[name].suffix}"
    CARDS[name].load()(Table("t", "long", "", long_table().frame.iloc[:0]), path)
    assert path.stat().st_size > 0


@pytest.mark.parametrize("name", ["markdown", "csv", "latex", "terminal", "html"])
def test_text_is_the_same_every_time(name: str, tmp_path: Path) -> None:
    for file in ("a", "b"):
        CARDS[name].load()(long_table(), tmp_path / file)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# Pictures


def pair_table(models: int = 4, p: float = 0.01, missing: bool = False) -> Table:
    rng = np.random.default_rng(0)
    names = [f"model_{k}_$x^{k}$" for k in range(models)]
    rows = []
    for panel in ("value", "row_permutation excess", "order_modes excess"):
        for a in names:
            for b in names:
                if a != b:
                    value = rng.uniform(0.2, 0.9) if panel == "value" else rng.uniform(-0.3, 0.3)
                    rows.append((panel, a, b, value, np.nan if panel == "value" else p, 1000, "ok"))
    frame = pd.DataFrame(rows, columns=["panel", "model_a", "model_b", "value", "p", "n", "status"])
    if missing:
        frame.loc[0, ["value", "status"]] = [np.nan, "skipped"]
    return Table("pairs", "convergence_matrix", "cka_linear_debiased", frame, ("a note",))


def coordinates(numbers: npt.NDArray[np.int64], reducer: str = "pca") -> Table:
    rng = np.random.default_rng(0)
    parts = []
    for panel, scale in (("row_permutation", 1.0), ("numbers", 1.0), ("random_tokens", 2.0)):
        own = [pd.NA] * len(numbers) if panel == "random_tokens" else numbers
        x, y = scale * rng.normal(size=(2, len(numbers)))
        part = {"model": "m_$1$", "source": "input", "reducer": reducer, "panel": panel, "x": x, "y": y}
        parts.append(pd.DataFrame({**part, "number": pd.array(own, dtype="Int64")}))
    return Table("m-pca", "coordinates", "m", pd.concat(parts, ignore_index=True))


def pixels(path: Path) -> npt.NDArray[np.float64]:
    return np.asarray(imread(path), dtype=np.float64)[..., :3]


def share_of(path: Path, colour: tuple[int, int, int]) -> float:
    return float((np.abs(pixels(path) - np.array(colour) / 255.0).max(axis=-1) < 0.004).mean())


def test_heatmap_greys_what_was_not_measured(tmp_path: Path) -> None:
    heatmap(pair_table(), tmp_path / "all.png", dpi=60)
    heatmap(pair_table(missing=True), tmp_path / "some.png", dpi=60)
    grey = (0xD9, 0xD9, 0xD9)
    assert share_of(tmp_path / "some.png", grey) > 0.005 > 10 * share_of(tmp_path / "all.png", grey)


def test_heatmap_hatches_what_its_null_explains(tmp_path: Path) -> None:
    heatmap(pair_table(3, p=0.05), tmp_path / "proven.png", dpi=60)
    heatmap(pair_table(3, p=0.06), tmp_path / "unproven.png", dpi=60)
    heatmap(pair_table(3, p=0.06), tmp_path / "lenient.png", dpi=60, alpha=0.1)
    dark = [(pixels(tmp_path / f"{name}.png").sum(axis=-1) < 1.2).sum() for name in ("proven", "unproven", "lenient")]
    assert dark[1] > dark[0]
    assert dark[2] == dark[0]


@pytest.mark.parametrize("models", [2, 20])
def test_heatmap_of_few_and_many_models(models: int, tmp_path: Path) -> None:
    heatmap(pair_table(models), tmp_path / "p.png", dpi=40)
    height, width = pixels(tmp_path / "p.png").shape[:2]
    assert width > height
    assert width < 40 * 45


def test_long_names_keep_both_ends() -> None:
    from numgeom_plugins.renderers.heatmap import _fitted

    names = [f"an-organisation/a-very-long-model-name-{size}-instruct-{k}" for size in ("7b", "13b") for k in (1, 2)]
    assert _fitted("gpt2") == "gpt2"
    assert len({_fitted(name) for name in names}) == 4
    assert max(len(_fitted(name)) for name in names) == 32


def test_excess_panels_share_one_scale_about_zero(tmp_path: Path) -> None:
    from numgeom_plugins.renderers.heatmap import _scale

    frame = pair_table().frame
    excess = frame[frame["panel"].str.contains("excess")]
    low, high, _ = _scale(excess, diverging=True)
    assert -low == high == excess["value"].abs().max()
    assert _scale(frame[frame["panel"] == "value"], diverging=False)[:2] == (0.0, 1.0)


def test_scatter_leaves_out_digits_that_do_not_vary(tmp_path: Path) -> None:
    sizes = []
    for name, numbers in (("ones", range(10)), ("tens", range(0, 100, 7)), ("hundreds", range(0, 1000, 37))):
        frame = coordinates(np.array(numbers)).frame
        only = Table(name, "coordinates", "", frame[frame["panel"] == "numbers"])
        scatter(only, tmp_path / f"{name}.png", dpi=40)
        sizes.append(pixels(tmp_path / f"{name}.png").shape[0])
    assert sizes[0] < sizes[1] < sizes[2]


def test_scatter_draws_real_numbers_beside_their_controls(shared: Path, tmp_path: Path) -> None:
    stored = load_file(shared / "data" / "embeddings" / "nlpl_bnc_skipgram_300d.safetensors")
    order = np.argsort(stored["number_values"])
    parts = []
    for panel, rows in (("numbers", stored["numbers"][order]), ("random_tokens", stored["random"][:100])):
        left, values, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
        own = stored["number_values"][order] if panel == "numbers" else [pd.NA] * 100
        layout = {"panel": panel, "number": pd.array(own, dtype="Int64")}
        parts.append(pd.DataFrame({**layout, "x": left[:, 0] * values[0], "y": left[:, 1] * values[1]}))
    frame = pd.concat(parts, ignore_index=True).assign(model="bnc", source="vectors", reducer="pca")
    scatter(Table("bnc-pca", "coordinates", "", frame), tmp_path / "p.png", dpi=60)
    assert share_of(tmp_path / "p.png", (255, 255, 255)) < 0.99
    colourful = np.ptp(pixels(tmp_path / "p.png"), axis=-1) > 0.3
    width = colourful.shape[1]
    # Colour in the first column and in the colour bars, only grey in the control between them.
    assert colourful[:, : width // 2 - 20].any()
    assert not colourful[:, width // 2 : int(0.86 * width)].any()


def test_scatter_of_one_number_and_of_negative_ones(tmp_path: Path) -> None:
    scatter(coordinates(np.array([7])), tmp_path / "one.png", dpi=40)
    scatter(coordinates(np.arange(-15, 15)), tmp_path / "signed.png", dpi=40)
    assert (tmp_path / "one.png").stat().st_size > 0


@pytest.mark.parametrize("name", ["heatmap", "scatter"])
def test_pictures_are_the_same_every_time(name: str, tmp_path: Path) -> None:
    table = pair_table(2) if name == "heatmap" else coordinates(np.arange(10))
    for file in ("a.png", "b.png"):
        CARDS[name].load()(table, tmp_path / file, dpi=40)
    data = (tmp_path / "a.png").read_bytes()
    assert data == (tmp_path / "b.png").read_bytes()
    assert b"tEXt" not in data


def test_names_that_the_font_lacks_do_not_stop_a_picture(tmp_path: Path) -> None:
    table = pair_table(2)
    frame = table.frame.replace({"model_a": {"model_0_$x^0$": "数"}, "model_b": {"model_0_$x^0$": "数"}})
    heatmap(Table("p", "convergence_matrix", "数", frame), tmp_path / "p.png", dpi=40)
    assert (tmp_path / "p.png").stat().st_size > 0


def test_pictures_refuse_tables_of_another_kind(tmp_path: Path) -> None:
    for name, kind in (("heatmap", "convergence_matrix"), ("scatter", "coordinates")):
        assert CARDS[name].tables == {kind}
        with pytest.raises(Incompatible, match=f"renderer '{name}' draws tables of kind {kind}, and table 'long' is"):
            CARDS[name].load()(long_table(), tmp_path / "p.png")


def test_pictures_refuse_what_they_cannot_draw(tmp_path: Path) -> None:
    empty = Table("pairs", "convergence_matrix", "", pair_table().frame.iloc[:0])
    with pytest.raises(Incompatible, match="has no pairs to draw; compare at least two models"):
        heatmap(empty, tmp_path / "p.png")
    one, two = coordinates(np.arange(9)), coordinates(np.arange(9), "tsne")
    both = Table("m", "coordinates", "", pd.concat([one.frame, two.frame]))
    with pytest.raises(Incompatible, match="holds 2 reductions; scatter draws one model, source and reducer"):
        scatter(both, tmp_path / "p.png")
    with pytest.raises(Incompatible, match="has points without x and y; reduce to two components"):
        scatter(Table("m", "coordinates", "", one.frame.assign(y=np.nan)), tmp_path / "p.png")
    assert not (tmp_path / "p.png").exists()
