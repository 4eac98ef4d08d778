"""The report of a mixed table: the figures that were measured, on a page that copes with any column."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from pages import report

import vaekit
from mixed_frames import HOSTILE, LONG, QUOTED, SMALL, make_frame, numbers
from vaekit.data import Column
from vaekit.errors import RunError
from vaekit.evaluation.tables import Privacy
from vaekit.evaluation.tables.associations import MOST_COLUMNS
from vaekit.plots.numbers import cut, nats, percent, write_number, write_value
from vaekit.report import write_report
from vaekit.report.privacy_section import privacy_section
from vaekit.report.subject import Subject


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


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


def test_cells_are_written_as_people_write_them():
    assert [write_number(x) for x in (215650.0, 2019.0, -3.0, 0.25, 1e15, -0.0)] == [
        "215,650",
        "2019",
        "−3",
        "0.25",
        "1e+15",
        "0",
    ]
    assert write_value(numbers(kind="datetime", spacing=86_400e6), 0.0) == "1970-01-01"
    assert write_value(numbers(kind="datetime", spacing=1e6), 60e6) == "1970-01-01 00:01"
    truth = Column(name="t", kind="binary", type="bool", categories=(False, True))
    assert [write_value(truth, value) for value in truth.categories] == ["false", "true"]
    assert cut("x" * 500) == "x" * 79 + "…"
    assert cut("a\nb\x00") == "a b "


# the page


def section(page, title):
    return page.html.partition(f"<h2>{title}</h2>")[2].partition("<h2>")[0]


def test_privacy_is_shown_with_a_sentence_for_each_measure(page, subject):
    found, shown = subject.table.privacy, section(page, "Privacy")
    for share in (found.nearer, found.membership):
        assert percent(share) in shown
    assert f"{percent(found.copies_held_out)} of held-out rows" in shown
    assert f"{found.distance:.2f} for generated rows and {found.distance_held_out:.2f} for held-out rows" in shown
    assert "cannot prove that none does" in shown
    assert subject.run.as_table_run().table_figures(subject.rows(subject.held_out), None).privacy is None


@pytest.mark.parametrize("leaks", [True, False])
def test_what_leaks_is_marked(leaks):
    found = Privacy(
        100, 0.9 if leaks else 0.55, 0.05, 0.01, 0.2, 0.5 if leaks else 0.1, 0.1, 100, 0.8 if leaks else 0.51, 0.02
    )
    (panel,) = privacy_section(found, "").panels
    assert [row[1].bad for row in panel.grid.rows] == [leaks] * 3
    words = [row[3] for row in panel.grid.rows]
    if leaks:
        assert words[0].startswith("Generated rows are nearer to training rows than chance explains")
        assert words[1] == "More generated rows than held-out rows are equal to a training row: some were copied."
        assert "can tell by log p(x) which is which in 80.0 % of the cases" in words[2]
    else:
        assert [word.split(",")[0] for word in words] == [
            "Up to chance",
            "Some generated rows are equal to a training row",
            "Up to chance",
        ]
    alone = replace(found, copies=0.0, nearer_error=float("nan"))
    rows = privacy_section(alone, "").panels[0].grid.rows
    assert rows[1][3] == "No generated row is equal to a training row."
    assert "±" not in rows[0][1].text


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
    shown = section(page, "Each column on its own")
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
    for name, reason in (("steady", "always"), ("empty", "no cell has a value"), ("id", "almost all different")):
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
    assert "All cells of these rows are missing." in page
    assert "all cells are missing" in page
    assert ">nan" not in page
    assert "nan ±" not in page


def test_many_columns_are_named_but_not_shown(folder):
    z = np.random.default_rng(0).normal(size=(200, MOST_COLUMNS + 6))
    run = vaekit.train(z + z[:, :1], settings=SMALL | {"training.epochs": 1}, out=folder / "wide")
    page = report(run)
    assert section(page, "Each column on its own").count("<figure") == MOST_COLUMNS
    assert "Not shown: column24 , column25 , column26" in page.text
    assert section(page, "Hidden cells").count("<tr>") == MOST_COLUMNS + 1
    assert section(page, "Columns and missing cells").count("<tr>") == MOST_COLUMNS + 7


def test_a_table_of_one_column(folder):
    table = pa.table({"only": np.random.default_rng(0).normal(size=100)})
    import pyarrow.parquet

    pyarrow.parquet.write_table(table, folder / "one.parquet")
    run = vaekit.train(folder / "one.parquet", settings=SMALL | {"training.epochs": 1}, out=folder / "one")
    page = report(run)
    assert "Associations between columns" not in page.text
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
    assert "columns as different kinds" in page.text  # stars were declared for one of them
    assert "The generated rows come from run." in page.text
    assert "error of <i>other" in page.text
    heads = re.search(r"<bdi>group</bdi></th>(.*?)</tr>", section(page, "Hidden cells"))[1]
    assert heads.count("<td") == 10


def test_a_model_of_why_cells_are_missing(folder, source, run):
    settings = SMALL | {"training.epochs": 2, "likelihood.missing": "modelled", "data.hide": 0.0}
    other = vaekit.train(source, settings=settings, out=folder / "modelled")
    page = report(run, other)
    assert "only one of the models predicts which cells are missing" in page.text
    assert "The figures ignore missing cells" in page.text
    assert "also predicts which cells are missing" in report(other).text


def test_runs_that_do_not_compare_are_refused(folder, run):
    frame = make_frame().drop(columns=["group"])
    frame.to_parquet(folder / "fewer.parquet")
    fewer = vaekit.train(folder / "fewer.parquet", settings=SMALL | {"training.epochs": 1}, out=folder / "fewer")
    with pytest.raises(RunError, match=r"different columns: 'group' is in only one"):
        write_report(run, fewer)
    z = np.random.default_rng(0).normal(size=(60, 8))
    plain = vaekit.train(z, settings=SMALL | {"training.epochs": 1, "data.kind": "real"}, out=folder / "plain")
    with pytest.raises(
        RunError, match=r"Only one of the two runs was trained on a mixed table: their data are mixed and real"
    ):
        write_report(run, plain)
