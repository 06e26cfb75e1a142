import numpy as np

from numgeom import Incompatible, Representation


class NormCorrelation:
    def prepare(self, rep: Representation) -> np.ndarray:
        norms = np.linalg.norm(rep.matrix.astype(np.float64), axis=1)
        norms -= norms.mean()
        length = np.linalg.norm(norms)
        if length <= 1e-12 * np.sqrt(rep.n) * np.abs(rep.matrix).max():
            raise Incompatible("norm_correlation needs rows of different lengths; leave out the step unit.")
        return norms / length

    def score(self, a: np.ndarray, b: np.ndarray) -> float:
        return float(np.clip(a @ b, -1.0, 1.0))

    def permuted(self, a: np.ndarray, b: np.ndarray, permutations: np.ndarray) -> np.ndarray:
        return np.clip(b[permutations] @ a, -1.0, 1.0)
