"""Audit a function x ↦ log p(x), or a lower bound on it, of any library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vaekit.auditing.check import Check
from vaekit.auditing.checks import CHECKS
from vaekit.auditing.record import Audit, Finding, Measurement, Skipped
from vaekit.auditing.space import Space
from vaekit.auditing.subject import EVALUATIONS, RAISED, Subject
from vaekit.errors import VaekitError, at_least_one, shorten
from vaekit.models.by_hand import as_latent_model

MOST_ROWS = 4096
"""Typical rows that an audit uses, at most."""
PARTS = ("encoder", "decoder", "prior")


def audit(
    log_prob: Callable[..., Any],
    event: Sequence[int],
    kind: str = "binary",
    *,
    levels: int = 0,
    rows: npt.ArrayLike | Tensor | None = None,
    exact: bool = False,
    model: nn.Module | None = None,
    dtype: Any = None,
    refine: Callable[..., Any] | None = None,
    fit: Callable[[Any], Callable[..., Any]] | None = None,
    transform: tuple[Callable[[Any], Any], Callable[[Any], Any]] | None = None,
    bits_per_dim: float | None = None,
    evaluations: int = EVALUATIONS,
    seed: int = 0,
) -> Audit:
    """Audit a function x ↦ log p(x): is it a log-likelihood, or a lower bound on one?

        Σ_x p(x) ≤ 1,   log p(x) a function of x alone,   IWAE_K ≤ IWAE_L for K ≤ L,   E_p[log q(x)] ≤ E_p[log p(x)]

    The function is called as it is: in the mode, on the device and with the settings in which its figures are made. If it
    is random, it is evaluated with many seeds, and accused only beyond four standard errors, twice. If it has a parameter
    `seed`, it is given the seed of its noise; otherwise the generators of torch, NumPy and Python are seeded. A function
    that fixes its own seed looks exact, so its noise looks like a fault: give it the parameter instead.

    Args:
        log_prob: rows (B, *event) ↦ log p(x) in nats, shape (B,), or a lower bound. A torch module, a function of tensors
            or a function of arrays.
        event: shape of one row, without the batch. Small rows can be enumerated, so audit a small model of the same code.
        kind: `binary` (0 and 1), `levels` (0, …, L − 1), `counts` (0, 1, 2, …) or `real` (a density).
        levels: number L of levels, for `levels` only.
        rows: typical rows, shape (n, *event), such as test rows, or rows drawn from the model. Without them, rows are made up.
        exact: whether the function claims to be log p(x) itself, so that a sum below 1 is a fault, too.
        model: the torch module behind a function, to compare training with evaluation mode. If it has `encoder`, `decoder`
            and `prior` as in `vaekit.fit`, annealing brackets log p(x) of rows that it simulates.
        dtype: the type of rows that the function takes: a torch type for tensors, a NumPy type for arrays. By default
            torch.float32 for a torch module or its method, else numpy.float64.
        refine: (rows, k) ↦ the same bound with k times as many integration points or importance samples; k = 1 is `log_prob`.
        fit: training rows (n, *event) ↦ a function like `log_prob`, of a model trained on them (`kind="real"` only).
        transform: rows ↦ transformed rows, and rows ↦ log |det ∂y/∂x|, of the change of variables within `log_prob`.
        bits_per_dim: a published figure for `rows`, to be recomputed.
        evaluations: greatest number of rows that one sum evaluates, ≥ 1.
        seed: seed of everything random.

    Returns:
        The record: `findings`, each with its size in nats, `skipped`, with what each would need, and `measured`.

    Raises:
        VaekitError: if the arguments do not fit together, or the function raises an exception, or does not return one
            finite number (or −∞) of single or double precision for each row.

    References:
        Theis, van den Oord and Bethge, "A note on the evaluation of generative models", 2016; Burda, Grosse and
        Salakhutdinov, "Importance Weighted Autoencoders", 2016; Grosse, Ancha and Roy, "Measuring the Reliability of MCMC
        Inference with Bidirectional Monte Carlo", 2016.

    Examples:
        >>> def forgetful(x):
        ...     return np.log(0.5) * np.ones((len(x), 9))[:, 1:].sum(1)  # a sum over 8 of 9 pixels
        >>> found = audit(forgetful, event=(3, 3))
        >>> print(found.findings[0])
        total: Σ p(x) = 2 over all 512 rows, in batches of up to 256: more than 1, so this is neither a likelihood nor a lower bound. Size: 0.69 nats.
    """
    if not callable(log_prob):
        raise VaekitError(
            "`log_prob` must be a function of a batch of rows, or a torch module", type(log_prob).__name__
        )
    behind = model if model is not None else _module_of(log_prob)
    if behind is not None and not isinstance(behind, nn.Module):
        raise VaekitError("`model` must be a torch module", type(behind).__name__)
    at_least_one(evaluations, "evaluations")
    given = None if rows is None else _as_array(rows)
    space = Space.of(event, kind, levels, given)
    if given is not None:
        space.check(given)
    chosen = _type_of(behind) if dtype is None else dtype
    subject = Subject(
        log_prob,
        space,
        None if given is None else given[:MOST_ROWS],
        dtype=chosen,
        exact=exact,
        module=behind,
        refine=refine,
        fit=fit,
        transform=transform,
        bits_per_dim=bits_per_dim,
        evaluations=evaluations,
        seed=seed,
        title=f"{_name(log_prob)} over {space.title}",
    )
    if model is not None and all(isinstance(getattr(model, part, None), nn.Module) for part in PARTS):
        _add_decoder(subject, model)
    return run_checks(subject)


def run_checks(subject: Subject, checks: Sequence[type[Check]] = CHECKS) -> Audit:
    """Make the checks of a subject in order, all of them by default, and return the record."""
    skipped: list[Skipped] = []
    measured: list[Measurement] = []
    with subject.unchanged():
        subject.values(subject.few)  # refuses a function that cannot be called
        for check in checks:
            for verdict in check().judge(subject):
                if isinstance(verdict, Finding):
                    subject.findings.append(verdict)
                elif isinstance(verdict, Skipped):
                    skipped.append(verdict)
                else:
                    measured.append(verdict)
    return Audit(subject.title, tuple(subject.findings), tuple(skipped), tuple(measured))


def _module_of(log_prob: Any) -> nn.Module | None:
    """Return the torch module that a function is, or is a method of."""
    owner = getattr(log_prob, "__self__", log_prob)
    return owner if isinstance(owner, nn.Module) else None


def _type_of(module: nn.Module | None) -> Any:
    """Return the type of rows that a function takes: that of the weights of its module, or float64 arrays."""
    if module is None:
        return np.float64
    weights = (weight.dtype for weight in module.parameters() if weight.is_floating_point())
    return next(weights, torch.float32)


def _as_array(rows: Any) -> npt.NDArray[np.float64]:
    return np.asarray(rows.detach().cpu() if isinstance(rows, Tensor) else rows, dtype=np.float64)


def _add_decoder(subject: Subject, model: nn.Module) -> None:
    """Give the subject its autoencoder, if encoder, decoder and prior return distributions that fit together."""
    x = replace(subject, dtype=_type_of(model)).encode(subject.few)
    try:
        with subject.unchanged(), torch.no_grad():
            decoder = as_latent_model(model, x).with_likelihood("annealing")
            decoder.run_once(x)
    except (VaekitError, *RAISED) as error:
        subject.obstacle = f"The model's three parts cannot be annealed: {shorten(str(error))}"
    else:
        subject.decoder = decoder


def _name(log_prob: Any) -> str:
    named = getattr(log_prob, "__qualname__", type(log_prob).__name__)
    return "a function" if "<lambda>" in named else f"'{named.replace('<locals>.', '')}'"
