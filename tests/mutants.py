"""Faults put into a copy of the package on purpose, each of which a named test must find: `make mutants`.

A line that can be broken without a test failing is a line that nobody watches.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOOP = "tests/training/test_loop_oracle.py::test_the_loop_is_the_plain_one"
STREAMS = "tests/test_architecture.py::test_each_stream_is_drawn_for_what_it_is_meant"


@dataclass(frozen=True)
class Mutant:
    """A fault.

    Args:
        meaning: what is wrong then.
        file: below src/vaekit.
        old: text that stands there once.
        new: what takes its place.
        test: which must fail.
    """

    meaning: str
    file: str
    old: str
    new: str
    test: str


MUTANTS = [
    Mutant(
        "the same latent noise at every step",
        "training/loop.py",
        "batch_keys(self.seed, epoch, positions[mine])",
        "batch_keys(self.seed, 0, np.arange(len(positions[mine])))",
        LOOP,
    ),
    Mutant(
        "live weights are measured instead of averaged ones",
        "training/loop.py",
        "self.model.load_state_dict(self.state.averaged_weights())",
        "self.model.load_state_dict(live)",
        LOOP,
    ),
    Mutant(
        "the average's early decay is left out",
        "training/loop.py",
        "1 - min(self.options.average, (1 + step) / (10 + step))",
        "1 - self.options.average",
        LOOP,
    ),
    Mutant(
        "the average's decay is squared",
        "training/loop.py",
        "(1 + step) / (10 + step))",
        "(1 + step) / (10 + step)) ** 2",
        LOOP,
    ),
    Mutant(
        "train_elbo without log|det|",
        "training/loop.py",
        '"train_elbo": log_det - (',
        '"train_elbo": -(',
        LOOP,
    ),
    Mutant(
        "train_distortion without log|det|",
        "training/loop.py",
        '"train_distortion": distortion / count - log_det',
        '"train_distortion": distortion / count',
        LOOP,
    ),
    Mutant(
        "rows with hidden cells count in the figures of training",
        "training/loop.py",
        "counted=unhidden,",
        "counted=len(index),",
        "tests/training/test_loop_oracle.py::test_rows_with_hidden_cells_do_not_count_in_the_figures_of_training",
    ),
    Mutant(
        "noise in the data is the noise in the latent space",
        "training/loop.py",
        "BatchStream.POSTERIOR",
        "BatchStream.TRANSFORM",
        LOOP,
    ),
    Mutant(
        "the same order of rows in every epoch",
        "data/order.py",
        "SeedStream.BATCHES.rng(self.seed, epoch)",
        "SeedStream.BATCHES.rng(self.seed)",
        LOOP,
    ),
    Mutant(
        "rows of a smaller share weigh more",
        "training/step.py",
        "terms.loss.sum() / inputs.batch",
        "terms.loss.mean() / group.count()",
        "tests/processes/test_together.py::test_two_processes_take_the_steps_of_one",
    ),
    Mutant(
        "the gradient's norm is not limited",
        "training/step.py",
        "elif self.clip and norm > self.clip:",
        "elif False:",
        LOOP,
    ),
    Mutant(
        "the compiled step does not limit the gradient's norm",
        "training/step.py",
        "if self.clip and compiling:",
        "if False and compiling:",
        "tests/training/test_step.py::test_the_traced_step_is_the_step",
    ),
    Mutant(
        "the compiled update of AdamW corrects only one of its moments",
        "training/optimizers/adamw.py",
        "second**-0.5",
        "1.0",
        "tests/training/test_step.py::test_the_traced_update_is_the_update",
    ),
    Mutant(
        "metrics.csv tells the weight of the next step",
        "training/loop.py",
        "beta = kl_weight(step - 1, ",
        "beta = kl_weight(step, ",
        LOOP,
    ),
    Mutant(
        "figures of training are never forgotten",
        "training/loop.py",
        "        self.state.sums.zero_()\n",
        "",
        LOOP,
    ),
    Mutant(
        "streams for the latent space and for binarisation are equal",
        "data/noise.py",
        "    POSTERIOR = 1\n",
        "    POSTERIOR = 0\n",
        "tests/data/test_noise.py::test_no_two_meanings_share_numbers",
    ),
    Mutant(
        "the held-out bound draws z by the noise that dequantises",
        "evaluation/bounds.py",
        "width, RowStream.POSTERIOR)",
        "width, RowStream.TRANSFORM)",
        LOOP,
    ),
    Mutant(
        "a posterior is measured by the noise it was fitted to",
        "evaluation/bounds.py",
        "stream: RowStream = RowStream.GAP_MEASURE",
        "stream: RowStream = RowStream.GAP_FIT",
        STREAMS,
    ),
    Mutant(
        "the z of an imputation is chosen by the noise of its values",
        "evaluation/tables/model.py",
        "own.uniform((draws,), RowStream.CHOICE)",
        "own.uniform((draws,), RowStream.FILL)",
        STREAMS,
    ),
    Mutant(
        "a cell that was hidden on purpose is taken as a sign of why cells are missing",
        "evaluation/tables/model.py",
        "found = at.draw_weighted(x, noise, device, hidden=True)",
        "found = at.draw_weighted(x, noise, device)",
        "tests/evaluation/test_hidden_cells.py::test_missing_cells_are_neither_likely_nor_unlikely",
    ),
    Mutant(
        "rare categories of sampled and of conditioned rows are the same",
        "runs/table_run.py",
        "RowStream.SAMPLE_RARE",
        "RowStream.GIVEN_RARE",
        STREAMS,
    ),
    Mutant(
        "the rows that chose the weights may be exchanged",
        "runs/base.py",
        'own = tuple(found) == (self.provenance["fingerprint"], self.provenance["validation_fingerprint"])',
        'own = next(found) == self.provenance["fingerprint"]',
        "tests/test_damage.py",
    ),
    Mutant(
        "the resolution's sign in a marginal",
        "data/tables/score_maps.py",
        "+ math.log(m.resolution)",
        "- math.log(m.resolution)",
        "tests/data/test_marginals.py::test_the_measure_of_a_real_cell_is_an_interval_as_wide_as_neighbours_are_apart",
    ),
    Mutant(
        "drawn rows that break a rule are kept",
        "data/tables/rules/rule_set.py",
        "again = breaks.any(0)",
        "again = np.zeros(len(rows), bool)",
        "tests/data/test_rules.py::test_the_cell_that_breaks_a_rule_is_drawn_again",
    ),
    Mutant(
        "rows that break a rule are changed, not drawn again",
        "data/tables/rules/rule_set.py",
        "for attempt in range(attempts):",
        "for attempt in range(1):",
        "tests/data/test_rules.py::test_the_cell_that_breaks_a_rule_is_drawn_again",
    ),
    Mutant(
        "rules change given cells",
        "data/tables/rules/draft.py",
        "return ~self.fixed[name] & ~np.isnan(self.values[name])",
        "return ~np.isnan(self.values[name])",
        "tests/data/test_rules.py::test_given_cells_that_break_a_rule_stay_and_are_counted",
    ),
    Mutant(
        "a new row depends on how many are drawn",
        "runs/rules.py",
        "z = model.model.prior().sample((CHUNK,))",
        "z = model.model.prior().sample((CHUNK + len(rows),))[len(rows) :]",
        "tests/test_rule_runs.py::test_a_row_depends_on_its_number_and_the_seed_alone",
    ),
    Mutant(
        "an order that follows from the ranges is proposed",
        "data/tables/rules/proposals/numbers.py",
        "if by_chance >= BY_CHANCE and",
        "if by_chance >= 0 and",
        "tests/data/test_rule_proposals.py::test_an_order_that_follows_from_the_ranges_is_none",
    ),
    Mutant(
        "an audit keeps the bias of the exponent",
        "auditing/checks/total.py",
        "terms = seeds * whole - (seeds - 1) * others.mean(0)",
        "terms = whole",
        "tests/auditing/test_sums.py::test_the_jackknife_removes_the_bias_of_the_exponent",
    ),
    Mutant(
        "an audit's sum over draws has no error of the draws",
        "auditing/checks/total.py",
        "variance += (np.square(terms).sum() - total**2 / n) * n / max(n - 1, 1)",
        "variance += 0",
        "tests/auditing/test_sums.py::test_the_error_of_a_sample_is_that_of_repeated_samples",
    ),
    Mutant(
        "an audit takes the noise of rejection sampling for a dependence on the batch",
        "auditing/checks/batches.py",
        "if left != also_left:",
        "if False:",
        "tests/auditing/test_faults.py::test_rejection_sampling_is_not_taken_for_a_dependence_on_the_batch",
    ),
    Mutant(
        "an audit leaves running averages where its batches moved them",
        "auditing/subject.py",
        "buffer.copy_(buffers[name])",
        "buffer.copy_(buffer)",
        "tests/auditing/test_faults.py::test_batch_normalisation_left_in_training_mode",
    ),
    Mutant(
        "an audit does not sum in pairs",
        "auditing/checks/total.py",
        "if coupled and points <= 2 * MOST_CALLS:",
        "if False:",
        "tests/auditing/test_faults.py::test_batch_normalisation_left_in_training_mode",
    ),
    Mutant(
        "an audit's proposal forgets the determinant of its whitening",
        "auditing/proposal.py",
        "axis=1) - self.at.log_det",
        "axis=1)",
        "tests/auditing/test_sums.py::test_importance_sampling_accuses_and_does_not_acquit",
    ),
]


def run_tests(source: Path, *tests: str) -> int:
    """The status of pytest with the package of that folder: 0 where all pass."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}  # no stale bytecode
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True).returncode


def survives(mutant: Mutant, source: Path) -> bool:
    """Whether its test passes with the fault in that copy, which is mended afterwards."""
    path = source / "vaekit" / mutant.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutant.old) != 1:
        sys.exit(f"{mutant.file} must hold once: {mutant.old}")
    path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        return run_tests(source, mutant.test) == 0
    finally:
        path.write_text(text, encoding="utf-8")


def main() -> None:
    """Try every mutant; the status is 1 if one survives."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        if run_tests(source, *dict.fromkeys(mutant.test for mutant in MUTANTS)):
            sys.exit("the tests must pass before anything is broken")
        survivors = 0
        for mutant in MUTANTS:
            alive = survives(mutant, source)
            survivors += alive
            print(f"{'SURVIVES' if alive else 'killed  '}  {mutant.meaning}  ({mutant.test.partition('::')[2] or mutant.test})", flush=True)  # fmt: skip
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main()
