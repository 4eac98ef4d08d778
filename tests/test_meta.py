"""Every recipe takes a step, measures, encodes, decodes and draws on a device whose tensors have no values.

An operation on tensors of this device and of the CPU raises, and so does the reading of a value. In training the norm of the
gradient is read to clip it and after each step, and the sums at each validation; nothing else is.
"""

from __future__ import annotations

import contextlib

import pytest
import torch

from test_recipes import data_for, short_for
from vaekit.data import BatchNoise, BatchStream, Rows, batch_keys
from vaekit.evaluation.bounds import measure_posterior
from vaekit.folder import RunFolder
from vaekit.objectives import Loss
from vaekit.recipe import build_part, load_recipe, make_plan, recipe_names
from vaekit.recipe.objects import optimizer_maker
from vaekit.runs.begin import Given, begin
from vaekit.training.state import TrainingState
from vaekit.training.step import Inputs, Step

META = torch.device("meta")


def begun(name, folder):
    """A run before its training, and some of its rows: as the model sees them, their noise and their context."""
    recipe = load_recipe(name)
    size = {"layers": [3, 2], "latent_dim": "auto"} if recipe.layers else {}
    settings = short_for(recipe) | size | {"training.precision": "float32", "training.compile": False}
    given = Given(data_for(name, folder), None, None, None)
    run = begin(RunFolder(folder / "run"), given, name, settings.items(), None, {})
    rows = Rows(run.split().train.crop(0, 6), run.transform)
    x, noise, context = next(rows.blocks(6))
    return run, x.to(META), noise, None if context is None else context.to(META)


def take_step(run, x, context):
    options = run.recipe.training.model_copy(update={"gradient_clip": 0.0})
    loss = Loss(run.model, build_part(make_plan(run.recipe, run.schema, 300, {}), "objective")).to(META)
    optimizer = optimizer_maker(run.recipe, {})(loss, options.learning_rate)
    average = {name: p.detach().clone() for name, p in run.model.named_parameters()}
    sums = torch.zeros(3, dtype=torch.float64, device=META)
    step = Step(TrainingState(run.model, loss, average, optimizer, sums), options, print)
    draws = int(run.recipe.objective.samples)
    noise = BatchNoise(batch_keys(0, 0, torch.arange(len(x)).numpy()).to(META))
    epsilon = noise.normal((draws, run.model.prior().event_shape.numel()), BatchStream.POSTERIOR).movedim(1, 0)
    ones = torch.ones((), device=META)
    return step(Inputs(x, epsilon, context, len(x), ones, ones, len(x)), 1e-3)


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_leaves_no_tensor_on_the_cpu_and_reads_no_value(tmp_path, monkeypatch, name):
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # torch has none for this device
    run, x, noise, context = begun(name, tmp_path)
    run.model.to(META)
    taken = take_step(run, x, context)
    assert {each.device for each in (*taken.terms, taken.norms, taken.norm)} == {META}
    with torch.no_grad():
        at = run.model.eval().given(context)
        z = at.encode(x)
        assert at.decode(z).device == META
        assert run.model.prior().sample((2,)).device == META
        if run.model.has_likelihood:
            drawn = measure_posterior(at, x, noise, at.prior(), at.encoder(x), 2, 100)
            assert {drawn.elbo.device, drawn.log_likelihood.device} == {META}
            assert at.decoder(z).sample().device == META
