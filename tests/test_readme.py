"""The README's commands are the ones that CI runs, and its examples are true."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

import numgeom
import numgeom.api

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_ci_takes_its_test_command_from_the_readme() -> None:
    command = re.search(r"<!-- test -->\n```bash\n(.+)\n```\n<!-- end -->", README)
    assert command is not None
    assert "pytest" in command[1]
    assert "<!-- test -->" in (ROOT / ".ci" / "run").read_text()


def test_the_python_example_runs() -> None:
    code = re.search(r"```python\n(.+?)```", README, re.S)
    assert code is not None
    rng = np.random.default_rng(0)
    names: dict[str, object] = {"X": rng.standard_normal((60, 5)), "Y": rng.standard_normal((60, 5))}
    small = code[1].replace('"cka_linear_debiased"])', '"cka_linear_debiased"], numbers="0..99", draws=19)', 1)
    exec(small, names)
    score = names["score"]
    assert isinstance(score, numgeom.Score)
    assert "order_modes" in score.nulls


def test_the_quickstart_suite_finds_what_the_readme_says() -> None:
    """The suite itself on fewer numbers and draws: trained models agree beyond order, the untrained one does not."""
    session = numgeom.api.Session.open(jobs=1)
    suite = session.registry.suite("quickstart").model_copy(
        update={"numbers": ["0..299"], "draws": 39, "convergence": ["cka_linear_debiased"], "geometry": []}
    )
    study = session.run(session.experiment("quickstart", suite))
    assert set(study.frame["status"]) <= {"ok", "skipped"}
    pairs = study.frame[(study.frame["kind"] == "convergence") & (study.frame["null"] == "order_modes")]
    untrained = pairs["model_a"].eq("demo_untrained") | pairs["model_b"].eq("demo_untrained")
    assert (pairs.loc[~untrained, "p"] <= 0.05).all()
    assert (pairs.loc[~untrained, "excess"] > 0.05).all()
    assert (pairs.loc[untrained, "excess"].abs() < 0.05).all()
    assert study.table("single_tokens")["size"].drop("demo_bpe").eq(300).all()
