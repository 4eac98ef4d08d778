"""The rate-distortion curve of a trained model: what its decoder and prior could do at other weights of the rate.

    R(D) = min_q E_x[KL[q(z|x) ‖ p(z)]]   with   E_x[−E_q[log p(x|z)]] ≤ D

Decoder and prior stay as they are; only q varies. The minimum lies at q_β(z|x) ∝ p(z) p(x|z)^β for some β, which is
also the path of annealed importance sampling from the prior. Here q_β is the diagonal Gaussian that minimises β·D + R
for each row. Its two figures are those of a q that exists, so each point can be reached, and all of them together bound
the model's curve from above: with a posterior that is no diagonal Gaussian, by its approximation gap.

The curve belongs to the model as trained. Models trained anew at each β would have others.

References:
    Huang, Makhzani, Cao and Grosse, "Evaluating Lossy Compression Rates of Deep Generative Models", 2020; Alemi, Poole,
    Fischer, Dillon, Saurous and Murphy, "Fixing a Broken ELBO", 2018.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vaekit.data import Rows
from vaekit.errors import VaekitError, at_least_one
from vaekit.evaluation.bounds import evaluating
from vaekit.evaluation.gap import (
    STEPS,
    fit_block_rows,
    fit_posterior,
    mean_and_error,
    measure_posterior,
)
from vaekit.models import VariationalAutoEncoder


@dataclass(frozen=True)
class RatePoint:
    """A pair of rate and distortion that the model can reach, averages over rows, in nats.

    Args:
        beta: β, the weight of the distortion; −β is the slope dR/dD of the curve here.
        rate: R.
        distortion: D, of the data as given.
        rate_error: standard error of R over rows; None for a single row.
        distortion_error: standard error of D over rows; None for a single row.
    """

    beta: float
    rate: float
    distortion: float
    rate_error: float | None
    distortion_error: float | None


def rate_distortion(
    model: VariationalAutoEncoder, rows: Rows, betas: Sequence[float], samples: int = 100, steps: int = STEPS
) -> list[RatePoint]:
    """Points on an upper bound of the model's rate-distortion curve, without training anew.

        q_β = argmin_q β·D[q] + R[q],   D = −E_q[log p(x|z)],   R = KL[q ‖ p(z)]

    Each row has a diagonal Gaussian of its own. At β = 1, −(D + R) is the ELBO of the best one; with β = 0 nothing is
    spent, and the distortion is that of codes from the prior. All points share their noise.

    Args:
        model: in evaluation mode or not; it is measured without dropout and left as it was.
        rows: the rows.
        betas: β ≥ 0, finite, in any order.
        samples: K ≥ 1 draws for each row and β, by which D is measured, and R where it has no closed form.
        steps: T ≥ 1 steps of Adam.

    Returns:
        A point for each β, in the order given.

    Raises:
        VaekitError: if there is no β, one is negative or not finite, or a number is below 1.

    References:
        Huang, Makhzani, Cao and Grosse, "Evaluating Lossy Compression Rates of Deep Generative Models", 2020; Alemi et
        al., "Fixing a Broken ELBO", 2018.
    """
    for name, value in (("samples", samples), ("steps", steps)):
        at_least_one(value, name)
    if not betas or not all(math.isfinite(beta) and beta >= 0 for beta in betas):
        raise VaekitError(
            "betas must be finite numbers of at least 0", str(list(betas)), "Give a grid such as 0.1, 1, 10"
        )
    parts: list[list[Tensor]] = []
    with evaluating(model) as device:
        prior = model.prior()
        for x, noise, context in rows.blocks(fit_block_rows(model)):
            x, at = x.to(device), model.given(context)
            start = at.encoder(x)
            found = []
            for beta in betas:
                q = fit_posterior(at, x, noise, prior, start, beta, steps)
                drawn = measure_posterior(at, x, noise, prior, q, samples)
                found.append(torch.stack([drawn.rate, drawn.distortion]))
            parts.append(found)
    log_det, points = rows.transform.log_det(), []
    for beta, blocks in zip(betas, zip(*parts, strict=True), strict=True):
        rate, distortion = torch.cat(blocks, 1).cpu().numpy()
        (mean_rate, rate_error), (mean, error) = mean_and_error(rate), mean_and_error(distortion - log_det)
        points.append(RatePoint(beta, mean_rate, mean, rate_error, error))
    return points
