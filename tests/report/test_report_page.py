"""The report page: its numbers are the evaluation's, and it stands alone."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import numpy as np
import pytest
from pages import report
from sklearn.datasets import load_digits

import vaekit
from vaekit.data import Part
from vaekit.errors import DataError, RunError
from vaekit.folder import RunFolder
from vaekit.pictures import GAP
from vaekit.plots.numbers import nats, significant
from vaekit.report import write_report
from vaekit.report.panels import map_panel, training_panels
from vaekit.report.subject import Subject

SMALL = {
    "training.epochs": 2,
    "training.patience": 0,
    "latent_dim": 4,
    "encoder.hidden": [32],
    "decoder.hidden": [32],
    "evaluation.samples": 5,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def source(folder):
    digits = load_digits()
    images = digits.images[:200].astype(np.uint8)
    names = np.array([f"<b>{i}" for i in range(10)])
    np.savez(folder / "digits.npz", X=images, y=names[digits.target[:200]])
    return folder / "digits.npz"


@pytest.fixture(scope="module")
def vae(folder, source):
    return vaekit.train(source, settings=SMALL | {"objective.kl_weight": 2.0}, out=folder / "<script>alert(1)")


@pytest.fixture(scope="module")
def autoencoder(folder, source):
    return vaekit.train(source, recipe="autoencoder", settings=SMALL, out=folder / "plain")


@pytest.fixture(scope="module")
def evaluation(vae):
    return vae.evaluate()


@pytest.fixture(scope="module")
def page(vae):
    return report(vae)


def test_numbers_are_those_of_the_evaluation(evaluation, page):
    f = evaluation
    estimate = f.log_likelihood
    assert page.cell("log-likelihood") == f"≥ {nats(estimate.value)} ± {nats(estimate.standard_error)}"
    for name, key in {"ELBO": "elbo", "distortion": "distortion", "rate": "rate", "marginal KL": "marginal_kl"}.items():
        assert page.cell(name) == nats(getattr(f, key))
    assert page.cell("ELBO on training rows") == nats(f.train_elbo)
    assert page.cell("mutual information") == nats(f.mutual_information)
    assert page.cell("ceiling of mutual information") == nats(np.log(20)) == "3.00"
    assert page.cell("bits per dimension") == f"{f.bits_per_dim:.4f}"
    assert page.cell("active latent dimensions") == f"{f.active_units} of 4"
    assert page.cell("factor analysis") == nats(f.baselines.factor_analysis)
    assert page.cell("β in training") == "2"
    assert "Trained with β = 2; here the rate has weight 1." in page.text
    assert "K = 5 draws, 20 held-out examples" in page.text


def test_mean_squared_error_is_of_the_data_as_given(vae, page):
    rows = vae.split().test.take(0, 20)
    expected = np.square(vae.reconstruct(rows).astype(float) - rows.astype(float)).mean()
    assert page.cell("mean squared error") == significant(expected)


def test_curves_bars_and_map_say_what_they_show(vae, evaluation, page):
    shown = [a["aria-label"] for tag, a in page.elements if tag == "svg" and "aria-label" in a]
    last = vae.folder.read_metrics()[-1]
    assert any(s.endswith(f"to {significant(last['train_elbo'])} on training rows") for s in shown)
    kl = evaluation.kl_per_dimension
    assert f"KL of 4 latent dimensions, the largest {nats(kl.max())} nats" in shown
    assert any(s.startswith("20 latent means") for s in shown)
    assert len(shown) == 9
    held_out = sorted(set(vae.split().test.classes()))
    assert re.findall(r"<li><span[^>]*>.</span> (.*?)</li>", page.html) == [html.escape(name) for name in held_out]


def test_originals_are_in_the_sheet(vae, page):
    originals = vae.split().test.take(0, 20)
    sheets = page.pictures("as given")
    assert [sheet.shape for sheet in sheets] == [(72, n * (72 + GAP) - GAP, 4) for n in (12, 8)]
    for sheet, pictures in zip(sheets, (originals[:12], originals[12:]), strict=True):
        for i, picture in enumerate(pictures[..., 0]):
            shown = sheet[4::9, i * (72 + GAP) + 4 :: 9, 0][:, :8]
            assert (shown == picture).all()


def test_traversals_are_in_the_order_of_kl(evaluation, page):
    kl = evaluation.kl_per_dimension
    labels = [a["alt"] for tag, a in page.elements if tag == "img" and a["alt"].startswith("dimension")]
    assert labels == [f"dimension {j}: KL {nats(kl[j])} nats" for j in np.argsort(-kl)]


def test_page_stands_alone(page):
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "iframe", "object"}
        for name in ("src", "href", "xlink:href", "srcset", "data"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
    assert "://" not in page.html
    assert "url(" not in page.html.replace("url(#", "")
    assert not page.open
    names = [a["id"] for _, a in page.elements if "id" in a]
    assert len(names) == len(set(names))
    used = re.findall(r'(?:href="|url\()#([^")]+)', page.html)
    assert set(used) <= set(names)
    assert used


def test_same_run_gives_the_same_bytes(vae, page):
    assert report(vaekit.load(vae.path)).html == page.html


def test_names_are_escaped(page):
    assert "<script" not in page.html
    assert "<script>alert(1)" in page.text


def test_autoencoder_has_no_bound(autoencoder):
    page, f = report(autoencoder), autoencoder.evaluate()
    assert "ELBO" not in page.text
    assert "log-likelihood" not in page.text.lower()
    assert "KL" not in page.text
    assert page.cell("reconstruction error") == significant(f.reconstruction_error)
    assert page.cell("reconstruction error on training rows") == significant(f.train_reconstruction_error)
    assert len(page.pictures("decoded")) == 1
    assert "Codes are drawn from a Gaussian fitted to the codes of the training rows" in page.text


def test_beside_shows_both(vae, autoencoder, evaluation):
    page = report(autoencoder, vae)
    row = re.search(r'<th scope="row">ELBO</th>(.*?)</tr>', page.html)[1]
    assert re.findall(r'<td class="value"[^>]*>([^<]*)</td>', row) == ["–", nats(evaluation.elbo)]
    rows = vae.split().test.take(0, 20).astype(float)
    errors = [np.square(run.reconstruct(rows).astype(float) - rows).mean() for run in (autoencoder, vae)]
    assert (
        f"{significant(errors[0])} for plain and {significant(errors[1])} for <script>alert(1), are in squared"
        in page.text
    )
    assert "plain is an autoencoder and has no likelihood" in page.text
    assert "different rows" not in page.text
    for label in ("reconstructed by plain", "reconstructed by <script>alert(1)"):
        assert len(page.pictures(label)) == 2
    assert "<script" not in page.html


def test_beside_of_another_split_says_so(vae, folder):
    other = replace(vae, folder=RunFolder(folder / "other"), provenance=vae.provenance | {"fingerprint": "another"})
    page = report(vae, other)
    assert "If other was trained on some of the held-out rows" in page.text
    assert "log-likelihoods are bounds for the same rows" in page.text


@pytest.fixture(scope="module")
def table(folder):
    z = np.random.default_rng(0).normal(size=(200, 2))
    columns = {
        "<script>x": z[:, 0],
        "steady": np.ones(200),
        "$\\frac{$": z.sum(1),
        "温度": np.round(3 * z[:, 1]),
        "last": z[:, 0] ** 2,
    }
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    (folder / "table.csv").write_text("\n".join(lines), encoding="utf-8")
    settings = SMALL | {"latent_dim": 2, "data.validation": 0.0, "data.kind": "real"}
    return vaekit.train(folder / "table.csv", settings=settings, out=folder / "table")


def test_table_shows_its_varying_columns(table):
    page = report(table)
    titles = re.findall(r"<h3>(.*?)</h3>", page.html)
    assert [t for t in titles if "column" in t] == [
        "column &#39;&lt;script&gt;x&#39;",
        "column &#39;$\\frac{$&#39;",
        "column &#39;温度&#39;",
        "column &#39;last&#39;",
    ]
    held_out = table.split().test.take(0, 20)[:, 0]
    shown = [a["aria-label"] for tag, a in page.elements if "aria-label" in a]
    assert any(s.startswith(f"held-out mean {held_out.mean():.3g},") for s in shown)
    assert any("z, dimension 0 against z, dimension 1" in s for s in shown)
    assert "bits per dimension" not in page.text
    assert not page.pictures("as given")


def test_runs_of_other_shape_are_refused(vae, table):
    with pytest.raises(RunError, match=re.escape("different shapes: (8, 8, 1) and (5,)")):
        write_report(vae, table)


def test_run_without_its_source_is_refused(folder):
    run = vaekit.train(np.random.default_rng(0).normal(size=(40, 3)), settings=SMALL, out=folder / "memory")
    with pytest.raises(DataError, match="which is not kept"):
        write_report(vaekit.load(run.path))
    assert not (run.path / "report.html").exists()


def test_one_dimension_has_a_histogram_for_a_map(folder):
    x = np.random.default_rng(1).integers(0, 2, (60, 6)).astype(np.uint8)
    np.savez(folder / "binary.npz", X=x)
    run = vaekit.train(folder / "binary.npz", settings=SMALL | {"latent_dim": 1}, out=folder / "binary")
    page = report(run)
    assert "histogram of 6 codes" in page.html
    assert "as far as the prior N(0, I), between −3 and 3, or less" in page.text
    mixture = SMALL | {"latent_dim": 1, "prior": "mixture"}
    assert (
        "as far as the learned prior, or less."
        in report(vaekit.train(folder / "binary.npz", settings=mixture, out=folder / "b")).text
    )
    assert all(note in page.text for note in run.provenance["choices"])


LEARNED = (
    "learned prior does not split by dimension",
    "drawn from the learned prior",
    "three standard deviations below the mean of all codes",
)
NORMAL = ("equals the prior and costs nothing", "drawn from the prior N(0, I)", "goes from −3 (left) to 3 (right)")


@pytest.mark.parametrize("prior", ["mixture", "vamp", "flow"])
def test_a_learned_prior_is_not_spoken_of_as_standard_normal(folder, source, page, prior):
    found = report(vaekit.train(source, settings=SMALL | {"prior": prior}, out=folder / prior))
    for words, other in zip(LEARNED, NORMAL, strict=True):
        assert (words in found.text, other in found.text) == (True, False)
        assert (words in page.text, other in page.text) == (False, True)
    for untrue in ("N(0", "−3", "round cloud"):
        assert untrue not in found.text
    assert f"latent_dim 4, diagonal posterior, {prior} prior" in found.text


def test_traversals_with_a_learned_prior_go_as_far_as_the_codes(folder, source):
    run = vaekit.train(source, settings=SMALL | {"prior": "mixture", "seed": 1}, out=folder / "far")
    evaluation = run.evaluate()
    j = int(evaluation.kl_per_dimension.argmax())
    codes, std = evaluation.measured.mean[:, j], evaluation.measured.std[:, j]
    spread = np.sqrt(codes.var() + np.square(std).mean())  # the law of total variance
    z = run.encode(run.split().test.subset(24, 0).take(0, 1)).repeat(11, 0)
    z[:, j] = codes.mean() + spread * np.linspace(-3, 3, 11)
    shown = run.decode(z)[..., 0]
    (strip,) = report(run).pictures(f"dimension {j}: KL {nats(evaluation.kl_per_dimension[j])} nats")
    zoom = (strip.shape[1] + GAP) // 11 - GAP
    for i, picture in enumerate(shown):
        seen = strip[zoom // 16 :: zoom // 8, i * (zoom + GAP) + zoom // 16 :: zoom // 8, 0][:, :8]
        assert np.abs(seen - (picture / (run.schema.levels - 1) * 255).clip(0, 255)).max() <= 1


def test_layers_are_named_with_their_posterior_and_latent_dim_is_not_advised(folder, source):
    run = vaekit.train(source, settings=SMALL | {"layers": [3, 2], "latent_dim": "auto"}, out=folder / "layers")
    page = report(run)
    assert "layers 3 and 2, top_down posterior, standard_normal prior of the top layer" in page.text
    assert "latent_dim=" not in page.text


def test_the_weights_kept_are_marked_where_they_were_kept(folder, source, monkeypatch):
    """By the bound that the objective raises, from the end of the warm-up on: not always where the ELBO is greatest."""
    settings = SMALL | {"training.epochs": 6, "training.kl_warmup": 0.5, "training.validations": 6}
    run = vaekit.train(source, settings=settings, out=folder / "kept")
    metrics = run.folder.read_metrics()
    for row in metrics:
        row["elbo"] = -row["step"]  # the first is the greatest
    run.folder.write_metrics(metrics)
    seen = []
    monkeypatch.setattr("vaekit.report.panels.charts.curves", lambda *a: seen.append(a[3]) or "")
    training_panels(Subject.of(run))
    kept = int(run.folder.read_tensors("weights.safetensors")[1]["step"])
    assert [metrics[best]["step"] for best in seen] == [kept] * 3
    assert kept > metrics[0]["step"]


def test_too_many_classes_are_counted(vae, evaluation):
    part = vae.split().test
    many = Part(part.values, part.index, np.arange(len(part.values)))
    panel = map_panel(Subject(vae, many, evaluation))
    assert not panel.legend
    assert "too many classes (20)" in panel.caption


def test_binary_pictures_are_drawn_as_zeros_and_ones(folder):
    x = np.random.default_rng(1).integers(0, 256, (60, 5, 7, 3)).astype(np.uint8)
    np.save(folder / "colour.npy", x)
    run = vaekit.train(folder / "colour.npy", settings=SMALL | {"data.binarize": "dynamic"}, out=folder / "colour")
    page = report(run)
    (draws,) = page.pictures("draws from p(x|z)")
    assert set(np.unique(draws[..., :3])) == {0, 255}
    assert "draws are zeros and ones" in page.text
    assert "nats per example of the binarised data" in page.text
