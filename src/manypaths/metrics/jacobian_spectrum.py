"""The leading eigenvalues of the field's Jacobian."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from manypaths import fields
from manypaths.errors import InvalidType, InvalidValue
from manypaths.fields import check_arguments
from manypaths.games.base import Game
from manypaths.metrics.jacobian import FieldJacobian
from manypaths.randomness import generator_for

Which = Literal["largest", "leftmost", "rightmost"]
_ARPACK = {"largest": "LM", "leftmost": "SR", "rightmost": "LR"}
_RANK = {"largest": lambda e: -np.abs(e), "leftmost": lambda e: e.real, "rightmost": lambda e: -e.real}


def jacobian_spectrum(
    game: Game,
    sample: Any,
    *,
    k: fields.PositiveInt = 10,
    which: Which = "largest",
    tolerance: fields.NonNegative = 0.0,
    restarts: fields.PositiveInt = 1000,
    seed: int = 0,
) -> Tensor:
    """k eigenvalues of J = dF/dw at the current iterate on one sample, complex128 (k,), in units of loss per weight^2.

    Gradient flow w' = -F(w) contracts near a stationary point where every real part is positive; imaginary parts are
    rotation (Mescheder, Nowozin and Geiger 2017). By the implicitly restarted Arnoldi method (scipy's ARPACK) on
    products with J', whose eigenvalues are those of J; the matrix is not formed, unless the game has it in closed
    form or it is small.

    Args:
        sample: at which the Jacobian is taken; BatchNorm and penalties see it as in training.
        k: how many; all D where there are fewer.
        which: by modulus, or by real part from either end; sorted so. Arnoldi's method finds the rim of the spectrum:
            small eigenvalues, and pairs whose imaginary part is small beside the rest, show only for larger k.
        tolerance: relative accuracy of an eigenvalue; 0 is that of float64. Weights in float32 deserve about 1e-5.
        restarts: of Arnoldi's method at most; it raises where they do not suffice.
        seed: of the first Arnoldi vector.

    Weights and buffers stay as they are, and no oracle counts it.
    """
    check_arguments(jacobian_spectrum, locals())
    jacobian = FieldJacobian(game, sample)
    if jacobian.matrix is not None or jacobian.size <= max(20, 2 * k + 1):  # Arnoldi would span the whole space
        found = torch.linalg.eigvals(jacobian.dense().double()).cpu().numpy()
    else:
        found = _arnoldi(jacobian, k, which, tolerance, restarts, seed)
    order = np.lexsort((-found.imag, _RANK[which](found)))
    return torch.from_numpy(found[order][:k].astype(np.complex128))


def _arnoldi(jacobian: FieldJacobian, k: int, which: Which, tolerance: float, restarts: int, seed: int) -> Any:
    try:
        from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigs
    except ImportError as error:
        raise InvalidType("jacobian_spectrum needs scipy, which is not installed: pip install scipy") from error

    def product(v: Any) -> Any:
        return jacobian.transposed(torch.from_numpy(np.ascontiguousarray(v).ravel())).double().cpu().numpy()

    size = jacobian.size
    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)  # type: ignore[call-arg]
    start = torch.randn(size, generator=generator_for(seed, "jacobian_spectrum"), dtype=torch.float64).numpy()
    settings = {"which": _ARPACK[which], "v0": start, "tol": tolerance, "maxiter": restarts}
    try:
        return eigs(operator, k=k, return_eigenvectors=False, **settings)
    except ArpackNoConvergence as error:
        raise InvalidValue(
            f"Arnoldi's method found {len(error.eigenvalues)} of {k} eigenvalues in {restarts} restarts: "
            "expected more restarts or a larger tolerance"
        ) from error
