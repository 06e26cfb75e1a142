"""What every geometry metric finds in planted codes: the plant, and nothing in the others.

Rows are measures, columns plants. A cell is a mark where the measure must exceed its threshold, and a point where it
must not: one matrix for all metrics of one representation.
"""

from __future__ import annotations

import warnings
from functools import cache

import pytest

import numgeom
from numgeom import Representation
from numgeom.errors import MeasurementWarning
from numgeom.figures import split
from numgeom.registry import open_catalog
from numgeom.targets import make_geometry

PLANTS = {
    "line": "line?noise=1",
    "log": "log_line?noise=0.02",
    "helix": "helix?noise=0.1",
    "digits": "digits?noise=0.1",
    "residues": "residues?noise=0.1",
    "walk": "walk",
    "iid": "iid",
    "copies": "copies",
}
# Metrics that find no code: dimensions and gates, tested on clouds of known dimension and defects.
MATRIX = """
metric                measure              above   line log helix digits residues walk iid copies
arch                  arch_explained       0.9     .    .   .     .      .        x    .   .
arch                  cosine_mean          0.5     .    .   .     .      .        x    .   .
attribute_probe       block_units          0.9     .    .   x     x      x        .    .   .
attribute_probe       block_multiple_5     0.9     .    .   x     x      x        .    .   .
attribute_probe       block_tens           0.9     .    .   .     x      .        .    .   .
circular_digit_probe  units_10             0.9     .    .   x     x      x        .    .   .
circular_digit_probe  exact_10             0.9     .    .   .     x      .        .    .   .
circular_digit_probe  exact_11             0.5     .    .   .     .      .        .    .   .
consecutive_distance  turning_cosine      -0.1     .    .   .     .      .        x    .   x
consecutive_distance  rollover_contrast    0.1     .    .   .     x      .        .    .   x
digit_clusters        r2_last_digit        0.4     .    .   x     x      x        .    .   .
digit_clusters        silhouette_tens_digit 0.1    .    .   .     x      .        .    .   x
digit_model           additive_r2_oof      0.8     x    x   x     x      x        .    .   .
digit_model           share_units          0.4     .    .   x     x      x        .    .   .
distance_commonality  unique_log           0.5     .    x   .     .      .        .    .   .
distance_commonality  unique_levenshtein   0.3     .    .   .     x      .        .    .   .
distance_order        spearman_linear      0.95    x    .   .     .      .        x    .   .
distance_order        spearman_log         0.95    .    x   .     .      .        .    .   .
distance_order        spearman_hamming     0.7     .    .   .     x      .        .    .   .
fisher_geometry       trace_ratio_cv_2     0.03    .    .   x     x      x        .    .   .
fisher_geometry       trace_ratio_cv_3     0.03    .    .   .     .      .        .    .   .
fisher_geometry       trace_ratio_cv_10    0.5     .    .   x     x      x        .    .   .
fourier_lines         spike_2              10      .    .   x     x      x        .    .   .
fourier_lines         spike_10             10      .    .   x     x      x        .    .   .
fourier_lines         spike_3              3       .    .   .     .      .        .    .   .
fourier_lines         spike_7              3       .    .   .     .      .        .    .   .
helix_fit             periodic_cv          0.2     .    .   x     x      x        .    .   .
helix_fit             r2_cv_helix          0.8     x    .   x     .      .        .    .   .
helix_fit             r2_cv_digits         0.95    x    .   .     x      x        .    .   .
isotropy              duplicate_rows       0.5     .    .   .     .      .        .    .   x
modular_probe         block_10             0.9     .    .   x     x      x        .    .   .
modular_probe         block_3              0.2     .    .   .     .      .        .    .   .
modular_probe         block_7              0.2     .    .   .     .      .        .    .   .
norm_profile          partial_linear       0.95    x    .   .     .      .        .    .   .
norm_profile          partial_log          0.95    .    x   .     .      .        .    .   .
parallelism           step_1               0.5     .    .   x     x      x        .    .   .
parallelism           step_10              0.6     .    .   .     x      .        .    .   .
reference_geometry    share_line           0.9     x    .   .     .      .        .    .   .
reference_geometry    share_log_line       0.9     .    x   .     .      .        .    .   .
reference_geometry    share_helix          0.9     .    .   x     .      .        .    .   .
reference_geometry    share_digits         0.5     .    .   .     x      .        .    .   .
residue_circle        order_accuracy       0.95    .    .   x     .      .        .    .   .
scaling_exponent      oof_linear           0.98    x    .   .     .      .        .    .   .
scaling_exponent      oof_log              0.98    .    x   .     .      .        .    .   .
sequence_correlation  partial_even         0.5     .    .   x     x      x        .    .   .
sequence_correlation  partial_cos_7        0.3     .    .   .     .      .        .    .   .
sequence_discoveries  partial_fdr_share    0.05    .    .   x     x      x        .    .   .
similarity_profile    last_digit_contrast  0.2     .    .   x     x      x        .    .   .
sinusoidal_probe      exact                0.9     .    .   .     .      .        x    .   .
spectral_background   excess_10            0.2     .    .   x     x      x        .    .   .
spectral_background   excess_4             0.2     .    .   .     .      .        .    .   .
successive_cosine     centred_mean         0.8     x    x   .     .      .        x    .   x
toeplitz_fraction     variogram_linear     0.97    x    .   .     .      .        x    .   .
toeplitz_fraction     variogram_log        0.97    .    x   .     .      .        .    .   .
value_probe           linear_beyond_r2     0.9     x    .   .     x      .        .    .   .
value_probe           log_block_r2         0.9     .    x   .     .      .        .    .   .
"""
HEAD, *LINES = [line.split() for line in MATRIX.strip().splitlines()]
# Judged on clouds of known dimension instead: tests/test_shape_dimension.py, and on vocabularies with "007".
OTHERS = {"explained_variance", "intrinsic_dimension", "parallel_analysis", "value_or_string", "variance_spectrum"}


@cache
def planted(plant: str) -> Representation:
    return numgeom.load(f"synthetic:{PLANTS[plant]}", numbers="0..199")


@cache
def measured(metric: str, plant: str) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MeasurementWarning)
        found = make_geometry(open_catalog().geometry.get(metric), {})(planted(plant))
    return split(dict(found))[0]


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line[0]}.{line[1]}")
def test_a_measure_finds_its_plants_and_is_quiet_on_the_others(line: list[str]) -> None:
    metric, measure, threshold, *marks = line
    found = {plant: measured(metric, plant)[measure] for plant in HEAD[3:]}
    expected = {plant for plant, mark in zip(HEAD[3:], marks, strict=True) if mark == "x"}
    assert {plant for plant, value in found.items() if value > float(threshold)} == expected, found


def test_every_metric_of_one_representation_is_in_the_matrix() -> None:
    shelf = open_catalog().geometry
    every = {name for name in shelf.names if not shelf.get(name).of_reduction}
    assert every - OTHERS == {line[0] for line in LINES}


def test_every_plant_is_found_by_some_measure() -> None:
    marked = {plant for line in LINES for plant, mark in zip(HEAD[3:], line[3:], strict=True) if mark == "x"}
    assert marked == set(PLANTS) - {"iid"}
