"""Densities by methods of other packages. Rows are codes, as `units.py` makes them; the answer is a log p for each row."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pandas as pd
from peer_job import Job, fit_argn, plain

DRAWS, PATIENCE, BATCH = 32, 15, 256


def spline_flow(job: Job) -> pd.DataFrame:
    """Fit a neural spline flow (Durkan et al. 2019) by zuko to standardised numbers, and return a bound on log p(x).

    A number with an interval of width w gets noise u, uniform over the interval and new in every epoch. For K draws of u,

        log P(x)  >=  log (1/K sum_k p(x + u_k)) + sum_j log w_j        in expectation

    so the figure is a lower bound of the log-probability that the flow gives to the intervals, and is exact for columns
    without intervals. A tenth of the rows chooses the epoch.
    """
    import torch
    import zuko

    torch.manual_seed(job.seed)
    train, test = (torch.from_numpy(job.table(name).to_numpy(float)) for name in ("train", "test"))
    width = torch.tensor(job.options["widths"], dtype=torch.float64)
    mean, scale = train.mean(0), train.std(0).clamp(min=1e-12)

    def noisy(x: Any) -> Any:
        return ((x + width * (torch.rand_like(x) - 0.5) - mean) / scale).float()

    order = torch.randperm(len(train))
    held_out, fitted = train[order[: len(train) // 10]], train[order[len(train) // 10 :]]
    flow = zuko.flows.NSF(train.shape[1], transforms=5, hidden_features=(128, 128))
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-3)
    best, chosen, waited = float("inf"), copy.deepcopy(flow.state_dict()), 0
    with job.fitting():
        for _ in range(job.options["max_epochs"]):
            for batch in noisy(fitted)[torch.randperm(len(fitted))].split(BATCH):
                optimizer.zero_grad()
                (-flow().log_prob(batch).mean()).backward()
                torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
                optimizer.step()
            with torch.no_grad():
                loss = float(-flow().log_prob(noisy(held_out)).mean())
            waited += 1
            if loss < best:
                best, chosen, waited = loss, copy.deepcopy(flow.state_dict()), 0
            if waited > PATIENCE:
                break
    flow.load_state_dict(chosen)
    with torch.no_grad():
        logs = torch.stack([flow().log_prob(noisy(test)).double() for _ in range(DRAWS)])
    volume = torch.log(width[width > 0]).sum() - torch.log(scale).sum()
    return pd.DataFrame({"log_prob": (torch.logsumexp(logs, 0) - np.log(DRAWS) + volume).numpy()})


def argn_density(job: Job) -> pd.DataFrame:
    """Return log-probabilities by TabularARGN, which predicts numbers digit by digit: the probability of the exact value.

    Values beyond those of the training rows are scored as the nearest of these, which favours the method a little.
    """
    model = fit_argn(job, job.table("train"), numbers="TABULAR_NUMERIC_DIGIT")
    test = plain(job.table("test"), job.discrete)
    return pd.DataFrame({"log_prob": model.log_prob(test).astype(float)})
