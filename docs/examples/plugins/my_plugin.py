from numgeom import ConvergenceSpec, ReducerSpec, hookimpl


def pc1_match(a, b):
    return abs(a.workspace.thin[0][:, 0] @ b.workspace.thin[0][:, 0])


@hookimpl
def numgeom_convergence_metrics():
    yield ConvergenceSpec(name="pc1_match", summary="|correlation| of the first PCs", target=pc1_match, range=(0, 1))


@hookimpl
def numgeom_reducers():
    yield ReducerSpec(name="two_groups", summary="columns in two groups", target="sklearn.cluster:FeatureAgglomeration")
