"""The distribution of a row of a mixed table, slot by slot: places in lists and scores on lines, each with its measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Size, Tensor
from torch.distributions import Distribution

from vaekit.distributions.logistic_mixture import LogisticMixture


@dataclass(frozen=True)
class PlaceGroup:
    """Neighbouring slots that choose from lists of about one length, worked on together.

    Args:
        slots: which k slots.
        log_probs: of each place, −∞ beyond the end of a shorter list, shape (..., k, longest).
    """

    slots: slice
    log_probs: Tensor


@dataclass(frozen=True)
class ScoreGroup:
    """Neighbouring slots that are scores of one sort, worked on together.

    Args:
        slots: which r slots.
        mixture: their distribution, batch shape (..., r).
        edges: scores of the least and greatest level of a lattice, shape (2, r); None for reals.
    """

    slots: slice
    mixture: LogisticMixture
    edges: Tensor | None


class Slots(Distribution):
    """Independent slots, of which those that are NaN are not observed and contribute nothing.

        log p(x) = Σ_places [log π_x + ℓ] + Σ_reals [log f(y) + ℓ] + Σ_lattice log P(y ± e^ℓ/2)

    Values to be judged have S slots followed by their S log-measures ℓ; values drawn have the S slots.

    Args:
        places: groups of slots that are places, in order.
        scores: groups of slots that are scores, in order, after the places.
        count: S.
    """

    arg_constraints = {}  # noqa: RUF012
    has_rsample = False

    def __init__(self, places: Sequence[PlaceGroup], scores: Sequence[ScoreGroup], count: int) -> None:
        self.places, self.scores, self.count = places, scores, count
        self.plain = self
        batch = (places[0].log_probs if places else scores[0].mixture.location).shape[:-2]
        super().__init__(Size([*batch, count]), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Each slot's part, 0 where it is not observed: (..., 2S) to (..., S), in nats of the data as given."""
        slots, measure = value[..., : self.count], value[..., self.count :]
        observed = ~torch.isnan(slots)
        slots, measure = torch.where(observed, slots, 0.0), torch.where(observed, measure, 0.0)
        parts = []
        for group in self.places:
            place = slots[..., group.slots].long().unsqueeze(-1)
            both = torch.broadcast_shapes(
                place.shape[:-1], group.log_probs.shape[:-1]
            )  # one constant for many rows, too
            log_probs, place = group.log_probs.expand(*both, -1), place.expand(*both, 1)
            parts.append(log_probs.gather(-1, place).squeeze(-1) + measure[..., group.slots])
        for score in self.scores:
            y, own = slots[..., score.slots], measure[..., score.slots]
            if score.edges is None:
                parts.append(score.mixture.log_density(y) + own)
            else:
                parts.append(score.mixture.log_interval(y, own.exp(), *score.edges))
        return torch.where(observed, torch.cat(parts, -1), 0.0)

    def draw(self, uniform: Tensor) -> Tensor:
        """Turn uniform numbers into a draw of every slot, by the inverse of its distribution function.

        Args:
            uniform: two numbers in (0, 1) for each slot, shape (..., S, 2), leading dimensions those of the batch or more.

        Returns:
            Slots, shape (..., S).
        """
        drawn = uniform.new_empty(uniform.shape[:-1])
        for group in self.places:
            reached = group.log_probs.exp().cumsum(-1)
            place = (reached < uniform[..., group.slots, :1] * reached[..., -1:]).sum(-1)
            drawn[..., group.slots] = place.to(drawn.dtype)
        for score in self.scores:
            drawn[..., score.slots] = score.mixture.draw(uniform[..., score.slots, :])
        return drawn

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = Size()) -> Tensor:  # noqa: B008
        """Draw every slot: places by their probabilities, never the most probable one."""
        with torch.no_grad():
            like = self.places[0].log_probs if self.places else self.scores[0].mixture.location
            return self.draw(torch.rand([*sample_shape, *self.batch_shape, 2], device=like.device))

    def of_missing(self) -> Slots:
        """p(x_j|z, cell j missing) for every cell: the same, where being missing has nothing to do with x_j."""
        return self

    @property
    def mean(self) -> Tensor:
        """A typical row: the most probable place and the mean score of each slot, shape (..., S)."""
        like = self.places[0].log_probs if self.places else self.scores[0].mixture.location
        typical = like.new_empty(self.batch_shape)
        for group in self.places:
            typical[..., group.slots] = group.log_probs.argmax(-1).to(typical.dtype)
        for score in self.scores:
            typical[..., score.slots] = score.mixture.mean
        return typical
