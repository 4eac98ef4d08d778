"""The rate-distortion curve of a trained model: which rates and distortions its decoder and prior can reach.

    R(D) = min_q E_x[KL[q(z|x) ‖ p(z)]]   with   E_x[−E_q[log p(x|z)]] ≤ D

Decoder and prior stay as they are; only q varies. The minimum lies at q_β(z|x) ∝ p(z) p(x|z)^β for some β. Here q_β is
the diagonal Gaussian that minimises β·D + R for each row. Each point is reached by such a q, so the points bound the
model's curve from above. Their distance from the curve is the approximation gap of the diagonal Gaussians.

The curve belongs to the trained model. A model trained for another β has another curve.

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
from vaekit.evaluation.bounds import evaluating, first_row, measure_posterior, widest
from vaekit.evaluation.estimate import Estimate
from vaekit.evaluation.fitting import STEPS, fit_block_rows, fit_posterior
from vaekit.models import VariationalAutoEncoder


@dataclass(frozen=True)
class RatePoint:
    """Hold a point of the rate-distortion curve: a rate and a distortion in nats, averaged over rows.

    Args:
        beta: β, the weight of the distortion; the curve has slope dR/dD = −β here.
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


@dataclass(frozen=True)
class RateDistortionCurve:
    """Hold points of the rate-distortion curve of a trained model.

    Args:
        points: one for each β.
        samples: K, the draws for each row and β.
        examples: the number of rows measured.
    """

    points: tuple[RatePoint, ...]
    samples: int
    examples: int

    def rows(self) -> list[tuple[str, str]]:
        """Return a name and a text for each point of the curve, as `vaekit evaluate` prints them."""
        return [
            (
                f"rate-distortion, β = {point.beta:g}",
                f"rate {Estimate(point.rate, point.rate_error)} and distortion "
                f"{Estimate(point.distortion, point.distortion_error)} nats can be reached ({self.examples} examples)",
            )
            for point in self.points
        ]


def rate_distortion(
    model: VariationalAutoEncoder, rows: Rows, betas: Sequence[float], samples: int = 100, steps: int = STEPS
) -> RateDistortionCurve:
    """Measure points that bound the model's rate-distortion curve from above, without retraining.

        q_β = argmin_q β·D[q] + R[q],   D = −E_q[log p(x|z)],   R = KL[q ‖ p(z)]

    Each row has its own diagonal Gaussian. At β = 1, −(D + R) is the ELBO of the best one. At β = 0 the rate is 0, and
    the distortion is that of codes drawn from the prior. All points share their noise.

    Args:
        model: in training or evaluation mode, which is restored; dropout is turned off.
        rows: the rows.
        betas: β ≥ 0, finite, in any order.
        samples: K ≥ 1 draws for each row and β; they measure D, and R where it has no closed form.
        steps: T ≥ 1 steps of Adam.

    Returns:
        The curve, with a point for each β in the given order.

    Raises:
        VaekitError: if betas is empty, a β is negative or not finite, or a number is below 1.

    References:
        Huang, Makhzani, Cao and Grosse, "Evaluating Lossy Compression Rates of Deep Generative Models", 2020; Alemi et
        al., "Fixing a Broken ELBO", 2018.
    """
    for name, value in (("samples", samples), ("steps", steps)):
        at_least_one(value, name)
    if not betas or not all(math.isfinite(beta) and beta >= 0 for beta in betas):
        raise VaekitError(
            "betas must be one or more finite numbers, each at least 0",
            str(list(betas)),
            "Try a grid such as 0.1, 1, 10",
        )
    parts: list[list[Tensor]] = []
    width = widest(model, *first_row(rows))
    with evaluating(model) as device:
        prior = model.prior()
        for x, noise, context in rows.blocks(fit_block_rows(width)):
            x, at = x.to(device), model.given(context)
            start = at.encoder(x)
            found = []
            for beta in betas:
                q = fit_posterior(at, x, noise, prior, start, beta, steps)
                drawn = measure_posterior(at, x, noise, prior, q, samples, width)
                found.append(torch.stack([drawn.rate, drawn.distortion]))
            parts.append(found)
    log_det, points = rows.transform.log_det(), list[RatePoint]()
    for beta, blocks in zip(betas, zip(*parts, strict=True), strict=True):
        rate, distortion = torch.cat(blocks, 1).cpu().numpy()
        r, d = Estimate.of(rate), Estimate.of(distortion - log_det)
        points.append(RatePoint(beta, r.value, d.value, r.standard_error, d.standard_error))
    return RateDistortionCurve(tuple(points), samples, len(rows))
