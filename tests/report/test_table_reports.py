"""The report of a mixed table: its measures on values worked out apart, and a page that bears any column."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from pages import report
from scipy.stats import ks_2samp, spearmanr

import vaekit
from vaekit.data import Column
from vaekit.errors import RunError
from vaekit.evaluation import TableModel
from vaekit.report import write_report
from vaekit.report.dependence import association_matrix, cramers_v, cut_up, measure_dependence, rank_correlations
from vaekit.report.hidden import _Judge, by_column, tell_cells
from vaekit.report.marginals import (
    bin_edges,
    compare,
    kolmogorov_smirnov,
    list_shares,
    make_histogram,
    number,
    written,
)
from vaekit.report.numbers import nats, percent
from vaekit.report.panel import cut
from vaekit.report.subject import Subject
from vaekit.report.table_charts import histogram
from vaekit.report.table_rows import MOST_COLUMNS, TableRows, cells_of

SMALL = {
    "training.epochs": 12,
    "training.batch_size": 64,
    "training.patience": 0,
    "latent_dim": 3,
    "encoder.hidden": [32],
    "decoder.hidden": [32],
    "evaluation.samples": 20,
}
HOSTILE = "<script>alert(1)</script>"
QUOTED = '"it\'s" <b>'
LONG = "a name that goes on " * 20


def numbers(**parts):
    return Column(name="x", type="double", **({"kind": "real"} | parts))


def words(count=3, kind="categorical", rare=()):
    return Column(name="w", kind=kind, type="string", categories=tuple(f"v{i}" for i in range(count)), rare=rare)


def table_rows(columns, real, generated, train=None):
    real, generated = np.asarray(real, float), np.asarray(generated, float)
    return TableRows(tuple(columns), real, generated, real if train is None else train, ((),) * len(columns))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


def make_frame(n=600, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    frame = pd.DataFrame(
        {
            HOSTILE: z,
            "quoted": rng.choice([QUOTED, "plain", ""], n, p=[0.5, 0.3, 0.2]),
            "温度": np.round(20 + 5 * z, 1),
            "group": np.where(z > 0, "up", "down"),
            "stars": np.clip(np.round(3 + z), 1, 5),
            "amount": np.where(rng.random(n) < 0.6, 0.0, np.round(np.exp(5 + 2 * z), 2)),
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(np.round(100 * z), unit="D"),
            LONG: rng.normal(size=n),
            "steady": "always",
            "empty": np.full(n, np.nan),
            "id": [f"u{i:05d}" for i in range(n)],
        }
    )
    frame.loc[rng.random(n) < 0.25, "温度"] = np.nan
    return frame


@pytest.fixture(scope="module")
def source(folder):
    make_frame().to_parquet(folder / "mixed.parquet")
    return folder / "mixed.parquet"


@pytest.fixture(scope="module")
def run(folder, source):
    settings = SMALL | {"data.columns": {"stars": "ordinal"}}
    return vaekit.train(source, settings=settings, out=folder / "run")


@pytest.fixture(scope="module")
def page(run):
    return report(run)


@pytest.fixture(scope="module")
def subject(run):
    return Subject.of(run)


@pytest.fixture(scope="module")
def told(subject):
    return tell_cells(subject)


# measures


def test_association_is_that_worked_out_by_hand():
    # expected counts 16, 24, 24, 36, each 14 away; then the bias of Bergsma's paper is taken off
    chi = 14**2 * (1 / 16 + 1 / 24 + 1 / 24 + 1 / 36)
    expected = math.sqrt((chi / 100 - 1 / 99) / (2 - 1 / 99 - 1))
    assert cramers_v(np.array([[30.0, 10.0], [10.0, 50.0]])) == pytest.approx(expected, rel=1e-12)


def test_association_of_a_larger_table():
    counts = np.array([[20.0, 0.0, 5.0], [0.0, 15.0, 10.0]])
    n, rows, columns = 50.0, [25.0, 25.0], [20.0, 15.0, 15.0]
    chi = sum(
        (counts[i, j] - rows[i] * columns[j] / n) ** 2 / (rows[i] * columns[j] / n) for i in (0, 1) for j in range(3)
    )
    least = min(2 - 1 / 49, 3 - 4 / 49) - 1
    assert cramers_v(counts) == pytest.approx(math.sqrt((chi / n - 2 / 49) / least), rel=1e-12)
    padded = np.zeros((4, 3))
    padded[[0, 2]] = counts
    assert cramers_v(padded) == cramers_v(counts)  # values that never come say nothing
    assert math.isnan(cramers_v(np.array([[30.0, 40.0]])))
    assert math.isnan(cramers_v(np.array([[3.0, 4.0], [4.0, 3.0]])))  # too few rows


def test_association_is_about_zero_for_independent_columns_of_many_values():
    rng = np.random.default_rng(0)
    found = [cramers_v(np.histogram2d(*rng.integers(0, 12, (2, 500)), bins=12)[0]) for _ in range(50)]
    assert np.mean(found) < 0.04  # with its bias it would be near 0.15
    assert np.mean(np.array(found) == 0) > 0.3


def test_matrix_takes_rows_in_which_both_are_there():
    rng = np.random.default_rng(1)
    one, other, third = rng.integers(0, 3, 400), rng.integers(0, 4, 400), rng.integers(0, 2, 400)
    other = np.where(rng.random(400) < 0.5, one, other)
    one[rng.random(400) < 0.2] = -1
    both = (one >= 0) & (other >= 0)
    counts = np.histogram2d(one[both], other[both], bins=[np.arange(4) - 0.5, np.arange(5) - 0.5])[0]
    matrix = association_matrix([one, other, third])
    assert matrix[0, 1] == matrix[1, 0] == pytest.approx(cramers_v(counts), rel=1e-12)
    assert np.diag(matrix) == pytest.approx(1.0)


def test_bins_hold_equally_many_held_out_cells():
    real = np.random.default_rng(0).permutation(np.append(np.arange(800.0), np.nan))
    bins = cut_up(numbers(), real, real)
    assert bins[np.isnan(real)] == -1
    assert np.bincount(bins[bins >= 0]).tolist() == [100] * 8
    assert cut_up(numbers(), real, np.array([-5.0, 1e9, np.nan])).tolist() == [0, 7, -1]
    zeros = np.array([0.0] * 90 + [1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    assert np.bincount(cut_up(numbers(), zeros, zeros)).tolist() == [90, 10]


def test_rare_values_share_a_bin():
    real = np.concatenate([np.repeat(np.arange(15.0), np.arange(20, 5, -1)), [15.0]])  # the last code: never seen
    bins = cut_up(words(15), real, real)
    assert set(bins) == set(range(12))
    assert (bins == 11).sum() == sum(range(6, 10)) + 1
    assert cut_up(words(3), np.array([2.0, 2, 0, 3]), np.array([0.0, 1, 2, 3])).max() < 12


def test_rank_correlation_is_spearmans():
    rng = np.random.default_rng(2)
    x = rng.integers(0, 5, (300, 3)).astype(float)
    x[:, 1] += x[:, 0]
    x[rng.random(300) < 0.3, 1] = np.nan
    both = ~np.isnan(x[:, 1])
    found = rank_correlations(x, [True, True, False])
    assert found[0, 1] == found[1, 0] == pytest.approx(spearmanr(x[both, 0], x[both, 1])[0], abs=1e-12)
    assert np.isnan(found[2]).all()
    assert np.isnan(rank_correlations(np.ones((50, 2)), [True, True])).all()


def test_a_dependence_that_falls_where_it_should_rise_is_found():
    x, noise = np.random.default_rng(3).normal(size=(2, 2000))
    other = np.random.default_rng(4).normal(size=(2000, 2))
    real, generated = np.column_stack([x, x + noise, other]), np.column_stack([x, noise - x, other])
    found = measure_dependence(table_rows([numbers()] * 4, real, generated))
    first = found.differences[0]
    assert first.pair == (0, 1)
    assert first.gap < 0.05  # V has no sign
    assert first.rank_real == pytest.approx(-first.rank_generated, abs=0.05)
    assert first.size > 1
    assert found.chance == 0  # the training rows are the held-out ones here
    assert found.gap == pytest.approx(np.mean([d.gap for d in found.differences]))


def test_columns_that_do_not_vary_have_no_association():
    real = np.column_stack([np.ones(50), np.full(50, np.nan), np.arange(50.0)])
    found = measure_dependence(table_rows([numbers()] * 3, real, np.ones((50, 3))))
    assert found.differences == []
    assert (found.gap, found.chance) == (0, 0)


# marginals


def test_distance_of_numbers_is_that_of_scipy():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=300), np.round(rng.normal(0.3, size=200), 1)
    assert kolmogorov_smirnov(one, other) == pytest.approx(ks_2samp(one, other).statistic, abs=1e-12)
    assert kolmogorov_smirnov(np.array([1.0, 1, 2]), np.array([2.0, 1, 1])) == 0


def test_distance_by_chance_is_what_chance_makes():
    rng = np.random.default_rng(0)
    both = [
        compare(
            table_rows(
                [numbers(), words(5)],
                np.column_stack([rng.normal(size=300), rng.choice(5, 300, p=[0.4, 0.3, 0.1, 0.1, 0.1])]),
                np.column_stack([rng.normal(size=200), rng.choice(5, 200, p=[0.4, 0.3, 0.1, 0.1, 0.1])]),
            )
        )
        for _ in range(150)
    ]
    for i in (0, 1):
        distance, chance = (np.mean([getattr(pair[i], name) for pair in both]) for name in ("distance", "chance"))
        assert distance == pytest.approx(chance, rel=0.07)


def test_distance_of_lists_is_half_the_sum_of_differences():
    real, generated = np.array([0, 0, 1, 2, np.nan])[:, None], np.array([0.0, 1, 1, 1])[:, None]
    (found,) = compare(table_rows([words(3)], real, generated))
    assert found.distance == pytest.approx(0.5)
    assert [(s.label, s.real, s.generated) for s in found.shares] == [
        ("v0", 0.5, 0.25),
        ("v1", 0.25, 0.75),
        ("v2", 0.25, 0),
    ]


def test_frequent_values_stand_alone_and_all_others_together():
    column = words(20, rare=(("seldom", 2), ("once", 1)))
    rng = np.random.default_rng(0)
    real, generated = rng.dirichlet(np.ones(21), 2)
    shares = list_shares(column, real, generated)
    assert len(shares) == 13
    assert sum(s.real for s in shares) == pytest.approx(1)
    assert sum(s.generated for s in shares) == pytest.approx(1)
    assert [s.real for s in shares[:-1]] == sorted(real[:20], reverse=True)[:12]
    assert shares[-1].others == 20 - 12 + 2
    ordered = list_shares(words(20, "ordinal"), real, generated)
    assert [int(s.label[1:]) for s in ordered[:-1]] == sorted(np.argsort(-real[:20])[:12])
    whole = list_shares(words(3), np.array([0.5, 0.25, 0.25, 0]), np.array([1.0, 0, 0, 0]))
    assert [s.others for s in whole] == [0, 0, 0]


RNG = np.random.default_rng(5)
SAMPLES = {
    "real": (numbers(), RNG.normal(size=500), RNG.standard_t(1, 400)),
    "lattice": (numbers(kind="count", step=1.0), RNG.poisson(60, 500), RNG.poisson(50, 300)),
    "few": (numbers(kind="count", step=1.0), RNG.poisson(2, 500), RNG.poisson(2, 300)),
    "skewed": (numbers(kind="positive"), np.exp(3 * RNG.normal(size=500)), np.exp(3 * RNG.normal(size=400))),
    "amounts": (numbers(kind="positive", step=1.0), np.ceil(np.exp(3 * RNG.normal(size=500))), np.ones(9)),
    "constant": (numbers(), np.full(30, 7.0), np.full(40, 7.0)),
    "single": (numbers(), np.array([1e15]), np.array([-1e15, 0.0])),
    "date": (numbers(kind="datetime", step=86_400e6), np.round(RNG.normal(18000, 50, 300)) * 86_400e6, np.zeros(5)),
}


@pytest.mark.parametrize("name", list(SAMPLES))
@pytest.mark.parametrize("apart", [(), (2.0, 7.0)])
def test_histograms_add_up(name, apart):
    column, real, generated = (np.asarray(x, float) if i else x for i, x in enumerate(SAMPLES[name]))
    found = make_histogram(column, real, generated, np.array(apart))
    left = [np.isin(x, apart).mean() for x in (real, generated)]
    if left[0] == 1:
        assert found is None
        return
    assert found.real.sum() == pytest.approx(1 - left[0])
    assert found.generated.sum() == pytest.approx(1 - left[1])
    assert (np.diff(found.edges) > 0).all()
    assert len(found.edges) == len(found.real) + 1 <= 40
    assert found.axis == {"skewed": "log", "amounts": "log", "date": "date"}.get(name, "plain")
    drawn = histogram(found.edges, found.real, found.generated, found.axis)
    assert drawn.startswith('<svg class="chart" role="img" aria-label="histogram of')
    assert "nan" not in drawn.lower()


def test_bins_of_a_lattice_hold_equally_many_points():
    edges, axis = bin_edges(numbers(step=0.5), np.arange(-50.0, 51.0) / 2, np.array([0.0]))
    counts = np.histogram(np.arange(-200, 200) / 2, edges)[0]
    assert axis == "plain"
    assert set(counts) == {math.ceil(101 / 30)}


def test_generated_cells_far_away_do_not_stretch_the_axis():
    edges, _ = bin_edges(numbers(), np.linspace(0, 1, 1000), np.append(np.full(990, 0.5), np.full(10, 1e6)))
    assert edges[-1] < 1.01
    assert bin_edges(numbers(), np.linspace(0, 1, 1000), np.full(100, 3.0))[0][-1] == 3.0  # but where most are is seen


def test_cells_are_written_as_people_write_them():
    assert [number(x) for x in (215650.0, 2019.0, -3.0, 0.25, 1e15, -0.0)] == [
        "215,650",
        "2019",
        "−3",
        "0.25",
        "1e+15",
        "0",
    ]
    assert written(numbers(kind="datetime", step=86_400e6), 0.0) == "1970-01-01"
    assert written(numbers(kind="datetime", step=1e6), 60e6) == "1970-01-01 00:01"
    truth = Column(name="t", kind="binary", type="bool", categories=(False, True))
    assert [written(truth, k) for k in (0.0, 1.0)] == ["false", "true"]
    assert cut("x" * 500) == "x" * 79 + "…"
    assert cut("a\nb\x00") == "a b "


# hidden cells


def test_every_observed_cell_is_judged_once(subject, told):
    codes = np.asarray(subject.held_out.take(0, 60), float)
    assert [t.cells for t in told.values()] == (~np.isnan(codes)).sum(0).tolist()
    assert list(told) == list(subject.run.schema.columns)


def test_the_simple_guess_is_that_of_training_rows(subject, told):
    names = list(subject.run.schema.columns)
    train, test = (np.asarray(p.take(0, 10**4), float) for p in (subject.run.split().train, subject.run.split().test))
    x, y = (part[:, names.index("温度")] for part in (train, test))
    expected = np.sqrt(np.nanmean((y - np.nanmean(x)) ** 2)) / np.nanstd(x)
    assert (told["温度"].measure, told["温度"].baseline) == ("RMSE / std", pytest.approx(expected))
    x, y = (part[:, names.index("quoted")] for part in (train, test))
    assert told["quoted"].baseline == pytest.approx((y != np.bincount(x.astype(int)).argmax()).mean())
    x, y = (part[:, names.index("stars")] for part in (train, test))
    assert (told["stars"].measure, told["stars"].baseline) == (
        "levels off",
        pytest.approx(np.abs(y - np.median(x)).mean()),
    )


def test_a_model_that_has_learned_tells_hidden_cells(told):
    assert told["group"].error < 0.7 * told["group"].baseline
    assert told["group"].gain > 2 * told["group"].gain_error > 0
    assert abs(told["quoted"].gain) < 0.1  # of which the other columns tell nothing


def test_log_probability_of_a_hidden_cell_is_that_of_imputation(run):
    judge, column = _Judge(run, None), list(run.schema.columns).index("group")
    codes = np.asarray(run.split().test.take(0, 40), float)
    rest = codes.copy()
    rest[:, column] = np.nan
    likeliest, probability = TableModel(run.model, run.schema, cells_of(run), 20).impute(judge.rows(rest))
    right = likeliest[:, column] == codes[:, column]
    assert right.sum() > 10
    found = np.exp(judge.log_prob(rest, codes)[right, column])
    assert found == pytest.approx(probability[right, column], rel=1e-5)


def test_log_probability_alone_is_the_frequency_in_training(run):
    judge, column = _Judge(run, None), list(run.schema.columns).index("quoted")
    counts = np.bincount(judge.train[:, column].astype(int), minlength=3)
    alone = judge.log_prob_alone(np.asarray(run.split().test.take(0, 40), float))[:, column]
    codes = run.split().test.take(0, 40)[:, column].astype(int)
    assert alone == pytest.approx(np.log(counts / counts.sum())[codes], abs=0.01)


def test_slots_are_summed_by_column(run):
    cells = cells_of(run)
    slots = torch.arange(cells.layout.slots, dtype=torch.float64)
    expected = [slots[cells.slot_columns == i].sum() for i in range(len(cells.columns))]
    assert by_column(slots.expand(2, -1), cells)[1].tolist() == expected


# the page


def section(page, title):
    return page.html.partition(f"<h2>{title}</h2>")[2].partition("<h2>")[0]


def test_figures_are_those_of_the_evaluation(run, page, subject):
    f = subject.figures
    assert page.cell("ELBO") == nats(f.elbo)
    assert page.cell("independent columns") == nats(f.baselines.independent)
    assert f"Best simple model {nats(f.baselines.independent)} nats per example, independent columns" in page.text
    assert not re.search('<th scope="row">mean squared error', page.html)
    for absent in ("bits per dimension", "linear", "probabilistic pca", "reconstruction error"):
        assert absent not in page.text.lower()


def test_page_stands_alone_and_is_escaped(page):
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "iframe", "object", "b", "i"}
        assert attributes.get("href", "#").startswith("#")
        assert "src" not in attributes
    assert not page.open
    assert "http:" not in page.html
    assert "https:" not in page.html
    assert HOSTILE in page.text
    assert QUOTED in page.text
    assert "温度" in page.text
    names = [a["id"] for _, a in page.elements if "id" in a]
    assert len(names) == len(set(names))
    assert len(page.html) < 3_000_000


def test_no_name_reaches_the_charts(page):
    charts = "".join(re.findall(r"<svg.*?</svg>", page.html, re.DOTALL))
    for name in ("script", "quoted", "plain", "温度", "group", "stars", "amount", "steady", "it's"):
        assert name not in charts
    assert LONG.strip() not in page.html.partition("The complete recipe")[0]  # it is cut


def test_same_run_gives_the_same_bytes(run, page):
    assert report(vaekit.load(run.path)).html == page.html


def test_each_column_has_its_bars(run, page):
    shown = section(page, "Each column by itself")
    assert shown.count("<figure") == len(run.schema.columns) == 8
    held_out = make_frame().iloc[run.split().test.index]
    share = percent((held_out["quoted"] == "plain").mean())
    assert re.search(rf'<bdi>plain</bdi></span>.*?<span class="bar-text">{share}<br>', shown)
    assert "<bdi>(empty)</bdi>" in shown
    assert '<span class="kind">datetime</span>' in shown
    assert "median 2020‑0" in shown or "median 2019‑1" in shown


def test_columns_say_what_is_missing_and_what_is_left_out(run, page):
    shown = section(page, "Columns and missing cells")
    missing = [np.isnan(part.take(0, 10**4)[:, 2]).mean() for part in (run.split().test, run.split().train)]
    row = re.search(r"<bdi>温度</bdi></th>(.*?)</tr>", shown)[1]
    assert re.findall(r"</span>([^<]+)</span></td>", row) == [percent(share) for share in missing]
    for name, reason in (("steady", "always"), ("empty", "no cell has a value"), ("id", "hardly one of them twice")):
        row = re.search(rf"<bdi>{name}</bdi></th>(.*?)</tr>", shown)[1]
        assert "left out" in row
        assert reason in row
    assert re.search(r"Left out of the model: <bdi>steady \(constant: ", shown)


def test_a_column_that_is_missing_or_constant_in_the_held_out_rows(run, subject):
    values = np.array(subject.held_out.take(0, 60), float)
    values[:, 2], values[:, 4], values[:, 5] = np.nan, 1.0, 0.0
    part = replace(subject.held_out, values=values, index=np.arange(60))
    from vaekit.report.page import render

    page = render(replace(subject, held_out=part))
    assert "No cell of these rows is there." in page
    assert "no cell is there" in page
    assert ">nan" not in page
    assert "nan ±" not in page


def test_many_columns_are_named_but_not_shown(folder):
    z = np.random.default_rng(0).normal(size=(200, MOST_COLUMNS + 6))
    run = vaekit.train(z + z[:, :1], settings=SMALL | {"training.epochs": 1}, out=folder / "wide")
    page = report(run)
    assert section(page, "Each column by itself").count("<figure") == MOST_COLUMNS
    assert "Not shown: column24 , column25 , column26" in page.text
    assert section(page, "Hidden cells").count("<tr>") == MOST_COLUMNS + 1
    assert section(page, "Columns and missing cells").count("<tr>") == MOST_COLUMNS + 7


def test_a_table_of_one_column(folder):
    table = pa.table({"only": np.random.default_rng(0).normal(size=100)})
    import pyarrow.parquet

    pyarrow.parquet.write_table(table, folder / "one.parquet")
    run = vaekit.train(folder / "one.parquet", settings=SMALL | {"training.epochs": 1}, out=folder / "one")
    page = report(run)
    assert "Dependence between columns" not in page.text
    assert "Hidden cells" in page.text


def test_two_runs_are_measured_on_the_same_cells(folder, source, run):
    turned = make_frame()[make_frame().columns[::-1]]
    turned.to_parquet(folder / "turned.parquet")
    other = vaekit.train(
        folder / "turned.parquet", settings=SMALL | {"seed": 1, "training.epochs": 1}, out=folder / "<i>other"
    )
    page = report(run, other)
    cells = pa.Table.from_pandas(make_frame().iloc[run.split().test.index], preserve_index=False)
    figures = other.evaluate(cells)
    row = re.search(r'<th scope="row">ELBO</th>(.*?)</tr>', page.html)[1]
    assert re.findall(r'<td class="value"[^>]*>([^<]*)</td>', row)[1] == nats(figures.elbo)
    assert "columns for different kinds" in page.text  # stars were declared for one of them
    assert "Generated rows are those of run." in page.text
    assert "error of <i>other" in page.text
    heads = re.search(r"<bdi>group</bdi></th>(.*?)</tr>", section(page, "Hidden cells"))[1]
    assert heads.count("<td") == 10


def test_a_model_of_why_cells_are_missing(folder, source, run):
    settings = SMALL | {"training.epochs": 2, "likelihood.missing": "modelled", "data.hide": 0.0}
    other = vaekit.train(source, settings=settings, out=folder / "modelled")
    page = report(run, other)
    assert "only one of the models includes which cells are missing" in page.text
    assert "Missing cells count in no figure" in page.text
    assert "tells which cells are missing too" in report(other).text
    judge = _Judge(other, None)
    codes = np.asarray(other.split().test.take(0, 10), float)
    found = judge.log_prob(codes, codes)
    assert (np.abs(found[np.isnan(codes)]) < 1e-12).all()  # what is not there is neither likely nor unlikely
    assert np.isfinite(found).all()


def test_runs_that_do_not_compare_are_refused(folder, run):
    frame = make_frame().drop(columns=["group"])
    frame.to_parquet(folder / "fewer.parquet")
    fewer = vaekit.train(folder / "fewer.parquet", settings=SMALL | {"training.epochs": 1}, out=folder / "fewer")
    with pytest.raises(RunError, match=r"model the same columns\. Got 'group' in only one"):
        write_report(run, fewer)
    z = np.random.default_rng(0).normal(size=(60, 8))
    plain = vaekit.train(z, settings=SMALL | {"training.epochs": 1, "data.kind": "real"}, out=folder / "plain")
    with pytest.raises(RunError, match=r"both or neither must be of a mixed table\. Got mixed and real"):
        write_report(run, plain)
