"""Probability distributions that extend or replace those of `torch.distributions`."""

from vaekit.distributions.autoregressive_bernoulli import AutoregressiveBernoulli
from vaekit.distributions.autoregressive_cells import AutoregressiveCells, Subsets
from vaekit.distributions.autoregressive_logistic import AutoregressiveLogistic
from vaekit.distributions.cholesky_normal import CholeskyNormal
from vaekit.distributions.copy_mixture import CopyMixture
from vaekit.distributions.diagonal_normal import DiagonalNormal
from vaekit.distributions.discretized_logistic import DiscretizedLogistic
from vaekit.distributions.flow import Flow
from vaekit.distributions.flow_normal import FlowNormal
from vaekit.distributions.layered import Conditional, Layered, LayeredNormal
from vaekit.distributions.logistic_mixture import LogisticMixture
from vaekit.distributions.logit_bernoulli import LogitBernoulli
from vaekit.distributions.missingness import MaskedCells, Missingness
from vaekit.distributions.normal_mixture import NormalMixture
from vaekit.distributions.ordered_categorical import OrderedCategorical
from vaekit.distributions.reparameterized import Reparameterized
from vaekit.distributions.table_cells import CategoryGroup, NumberGroup, TableCells
from vaekit.distributions.von_mises_fisher import VonMisesFisher

__all__ = [
    "AutoregressiveBernoulli",
    "AutoregressiveCells",
    "AutoregressiveLogistic",
    "CategoryGroup",
    "CholeskyNormal",
    "Conditional",
    "CopyMixture",
    "DiagonalNormal",
    "DiscretizedLogistic",
    "Flow",
    "FlowNormal",
    "Layered",
    "LayeredNormal",
    "LogisticMixture",
    "LogitBernoulli",
    "MaskedCells",
    "Missingness",
    "NormalMixture",
    "NumberGroup",
    "OrderedCategorical",
    "Reparameterized",
    "Subsets",
    "TableCells",
    "VonMisesFisher",
]
