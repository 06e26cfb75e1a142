from collections.abc import Iterable

from numgeom import ConvergenceSpec, hookimpl


@hookimpl
def numgeom_convergence_metrics() -> Iterable[ConvergenceSpec]:
    return [
        ConvergenceSpec(
            name="norm_correlation",
            summary="Pearson correlation of the lengths of the rows",
            target="numgeom_norms.correlation:NormCorrelation",
            range=(-1.0, 1.0),
            invariant_to=frozenset({"orthogonal", "scale", "permutation"}),
            version=1,
        )
    ]
