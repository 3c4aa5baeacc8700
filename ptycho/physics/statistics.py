"""What counting photons alone leaves: expectations of misfits when k ~ Poisson(λ)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.special
from numpy.typing import NDArray

__all__ = ["LAMBDA_FLOOR", "SERIES_FROM", "deviance_table", "expected_amplitude_error", "expected_deviance"]

FloatArray = NDArray[np.float64]

LAMBDA_FLOOR = 1e-6  # keeps log λ finite where the model says that no photon can arrive
SERIES_FROM = 64.0  # above this λ the asymptotic series are good to 1e-6
TABLE_POINTS = 1025


def expected_amplitude_error(lam: FloatArray) -> FloatArray:
    """Return E[(√k − √λ)²] for k ~ Poisson(λ), for each element of `lam`.

    It is 2λ at low λ, at most 0.455 (λ = 1.11), and ¼ + 7/(64 λ) + 75/(512 λ²) + … at high λ: the often
    quoted ¼ alone is wrong where most pixels of a diffraction pattern lie.

    Parameters
    ----------
    lam
        Mean counts, any shape, ≥ 0.
    """
    root = _table_roots()
    table = 2 * root**2 - 2 * root * _poisson_means(root**2, np.sqrt)
    return _look_up(lam, root, table, 0.25 + 7 / 64 * _inverse(lam) + 75 / 512 * _inverse(lam) ** 2)


def expected_deviance(lam: FloatArray) -> FloatArray:
    """Return E[2(λ − k + k ln(k/λ))] for k ~ Poisson(λ), for each element of `lam`.

    Near 2 λ ln(1/λ) at low λ, at most 1.16 (λ = 1.34), and 1 + 1/(6 λ) + 1/(6 λ²) + … at high λ.

    Parameters
    ----------
    lam
        Mean counts, any shape, ≥ 0.
    """
    root, table = deviance_table()
    return _look_up(lam, root, table, 1 + _inverse(lam) / 6 + _inverse(lam) ** 2 / 6)


def deviance_table() -> tuple[FloatArray, FloatArray]:
    """Return nodes (1025,) in √λ, √64 · (i/1024)², and the expected deviance (1025,) at each: linear between them."""
    root = _table_roots()
    mean = _poisson_means(root**2, lambda k: scipy.special.xlogy(k, k))
    return root, 2 * (mean - scipy.special.xlogy(root**2, root**2))


def _table_roots() -> FloatArray:
    """Return the nodes of the tables in √λ, dense towards 0, where the expectations bend most for their size."""
    nodes: FloatArray = np.sqrt(SERIES_FROM) * np.linspace(0, 1, TABLE_POINTS) ** 2
    return nodes


def _poisson_means(lam: FloatArray, of: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Return E[of(k)] by summing the Poisson distribution far beyond its tail."""
    k = np.arange(SERIES_FROM + 12 * np.sqrt(SERIES_FROM))
    weights = np.exp(scipy.special.xlogy(k, lam[:, None]) - lam[:, None] - scipy.special.gammaln(k + 1))
    means: FloatArray = weights @ of(k)
    return means


def _look_up(lam: FloatArray, root: FloatArray, table: FloatArray, series: FloatArray) -> FloatArray:
    """Interpolate the table below `SERIES_FROM`, take the series above."""
    return np.where(lam < SERIES_FROM, np.interp(np.sqrt(lam), root, table), series)


def _inverse(lam: FloatArray) -> FloatArray:
    """Return 1/λ where the series is used; its value elsewhere is never looked at."""
    return 1 / np.maximum(lam, SERIES_FROM)
