"""report: one page about a run that needs nothing else: what it found, figures, configuration and provenance."""

import argparse
import base64
import html
import os

import numpy as np

from . import plot
from .commands import shown
from .comparing import runs_of
from .errors import CannotCreate, NotFound
from .plot_gap import SETS, draw_against, draw_sorted
from .plot_trace import evaluations
from .style import COLOURS, new, styled
from .table import number as number_of

RUNGS = ("inference function", "own factor", "full covariance", "more starts", "importance resampling", "none of these")

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0.2rem; } h2 { font-size: 1.15rem; margin: 2rem 0 0.4rem; border-bottom: 1px solid #ccc; }
.about { color: #666; margin-top: 0; } .verdict { background: #eef4f9; border-left: 5px solid #0072B2; padding: 0.6rem 1rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; } td, th { padding: 0.15rem 1.2rem 0.15rem 0; text-align: left; vertical-align: top; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; } figcaption { color: #555; font-size: 0.9rem; }
pre { background: #f6f6f6; padding: 0.8rem; overflow-x: auto; font-size: 0.8rem; } details summary { cursor: pointer; }
"""


def picture(figure, words):
    """The figure in the page itself, with what it shows in words. An inch is as wide in all of them, so that their letters are of one size."""
    data = base64.b64encode(figure._repr_png_()).decode()
    width = round(110 * figure.get_size_inches()[0])
    return f'<figure><img width="{width}" alt="{html.escape(words, quote=True)}" src="data:image/png;base64,{data}"><figcaption>{html.escape(words)}</figcaption></figure>'


def tidy(figure, words):
    """As picture(), of a figure whose parts are still to be set apart."""
    figure.tight_layout()
    return picture(figure, words)


def drawn(draw, run):
    """A figure of plot in the page; nothing where the run has nothing of the kind."""
    try:
        figure = draw(run)
    except NotFound:
        return ""
    return picture(figure, figure.words)


def table(rows, kind="n"):
    cells = "".join(f"<tr><th>{html.escape(name)}</th>" + "".join(f'<td class="{kind}">{html.escape(str(v))}</td>' for v in values) + "</tr>" for name, *values in rows)
    return f"<table>{cells}</table>"


def number(value, error=None):
    return number_of(value, error, digits=".4f") or "-"


def last(group, name):
    values = group[name].ravel() if name in group else np.empty(0)
    return float(values[-1]) if len(values) else np.nan


def key_numbers(run):
    rows = [("", "training", "held-out")]
    for label, name in (("ELBO, nats per row", "elbo"), ("squared error per value", "mse")):
        values = [number(last(run.eval, f"{name}_{one}"), last(run.eval, f"{name}_{one}_error")) for one, _ in SETS]
        if set(values) != {"-"}:
            rows.append((label, *values))
    gaps = [run.group(f"/gap/{one}") for one, _ in SETS]
    if any(gaps):
        def total(group, name, error=None):
            if not group:
                return "-"
            n = max(1, group.attributes["rows"] - group.attributes["rows_not_finite"])
            return number(group.attributes[name] / n, group.attributes[error] / n if error else None)
        rows += [("amortization gap, nats per row", *(total(g, "total_amortization_gap", "error_amortization_gap") for g in gaps)),
                 ("approximation gap, nats per row", *(total(g, "total_approximation_gap") for g in gaps)),
                 ("log p(x), nats per row", *(total(g, "total_log_p", "error_log_p") for g in gaps)),
                 ("rows that carry half of the gap", *(f"{100 * g.attributes['half_share']:.1f} %" if g else "-" for g in gaps)),
                 ("rows", *(g.attributes["rows"] if g else "-" for g in gaps)),
                 ("rows whose factor converged", *(g.attributes["rows_converged"] if g else "-" for g in gaps))]
    return table(rows) if len(rows) > 1 else ""


# ---- figures ----

@styled
def trace(run):
    if "step" not in run.trace or not len(run.trace["step"]):
        return ""
    step, elbo = run.trace["step"].ravel(), run.trace["elbo_per_row"].ravel()
    figure = new(7, 3)
    axes = figure.subplots()
    axes.plot(step, elbo, color=COLOURS[0], linewidth=1, label="steps (batches of training rows)")
    for number_, (one, words) in enumerate(SETS):
        at, _, value, error = evaluations(run, step, step, one)
        if len(at):
            marks = {"fmt": "s-", "markersize": 6} if one == "train" else {"fmt": "o--", "markersize": 3.5}
            axes.errorbar(at, value, 2 * error, color=COLOURS[1 + number_], markerfacecolor="white", linewidth=0.8, elinewidth=1, **marks, label=f"evaluations, {words} rows")
    tail = elbo[max(1, len(elbo) // 20):]
    if np.isfinite(tail).any():
        low, high = np.nanpercentile(tail, 1), np.nanmax(tail)
        axes.set_ylim(low - 0.1 * (high - low) - 1e-9, high + 0.1 * (high - low) + 1e-9)
    axes.set(xlabel="step", ylabel="ELBO (nats per row)")
    axes.legend(fontsize=8, loc="lower right")
    return tidy(figure, "The ELBO during the fit; its first fall may lie below the picture.")


@styled
def gap_sorted(run):
    figure = new(7, 3.2)
    if not draw_sorted(figure.subplots(), run):
        return ""
    return tidy(figure, "What the inference function costs each row against a factor of its own, with two Monte Carlo standard errors. Where the curves lie apart, "
                        "the function serves rows that it was not fitted to less well.")


@styled
def avi_against_fvi(run):
    figure = new(4.6, 4.2)
    if not draw_against(figure.subplots(), run):
        return ""
    return tidy(figure, "A-VI against F-VI, row by row: on the line the function does as well as a factor of the row's own.")


def rungs(run):
    groups = [(words, run.group(f"/gap/{one}")) for one, words in SETS]
    groups = [(words, group) for words, group in groups if group and "rung" in group]
    if not groups:
        return ""
    rows = [("", *(words for words, _ in groups))]
    for index, rung in enumerate(RUNGS):
        counts = [int(np.sum(group["rung"] == index)) for _, group in groups]
        if any(counts):
            rows.append((rung, *(f"{100 * count / len(group['rung']):.1f} %" for count, (_, group) in zip(counts, groups))))
    return "<p>What a row needs for importance weights that can be relied on (Pareto k-hat of at most 0.7):</p>" + table(rows)


@styled
def floors(run):
    group = run.group("/diagnose")
    names = [name[6:] for name in group if name.startswith("floor_") and not name.startswith("floor_error_")]
    rows = run.attributes.get("rows") or len(group["row"])
    if len(names) < 2 or not rows:
        return ""
    order = {"self": 0, "ahead": 1, "next": 2}
    names.sort(key=lambda name: order.get(name, 3 + int(name.split(":")[-1]) if ":" in name else 99))
    value = np.array([float(group[f"floor_{name}"]) for name in names]) / rows
    error = np.array([float(group[f"floor_error_{name}"]) for name in names]) / rows
    figure = new(6, 2.8)
    axes = figure.subplots()
    axes.bar(names, value, yerr=2 * error, color=COLOURS[0], width=0.6, error_kw={"elinewidth": 1, "ecolor": "#444444"})
    for place, one in enumerate(value):
        axes.annotate(f"{one:.3g}" if one > 1e-8 else "0", (place, one), xytext=(0, 4), textcoords="offset points", ha="center", fontsize=8)
    axes.set(ylabel="floor (nats per row)", xlabel="inference.domain", ylim=(0, 1.2 * max(value.max(), 1e-12)))
    return tidy(figure, "The least gap that a smooth inference function of each domain leaves.")


def tiles(images, axes, words):
    number_, height, width = images.shape
    sheet = np.zeros((height, number_ * (width + 2) - 2))
    for k in range(number_):
        sheet[:, k * (width + 2):k * (width + 2) + width] = images[k]
    axes.imshow(sheet, cmap="gray_r", vmin=0, vmax=max(1e-12, float(np.nanmax(images))), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.set_ylabel(words, rotation=0, ha="right", va="center", fontsize=8)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


@styled
def worst(run):
    found = []
    for one, words in SETS:
        group = run.group(f"/gap/{one}")
        if "worst_row" not in group:
            continue
        rows = group["worst_row"]
        gaps = group["amortization_gap"][rows]
        height, columns = group.attributes.get("height", 1), group.attributes.get("columns", 1)
        if "worst_original" in group and height > 1 and group["worst_original"].shape[1] == height * columns:
            figure = new(9, 2.3)
            axes = figure.subplots(3, 1)
            for axis, name, label in zip(axes, ("worst_original", "worst_function", "worst_own"), ("row", "E[x], function", "E[x], own factor")):
                tiles(group[name].reshape(-1, height, columns), axis, label)
            found.append(tidy(figure, f"The {words} rows with the largest gaps, {gaps[0]:.2f} to {gaps[-1]:.2f} nats: rows {', '.join(map(str, rows))}."))
        else:
            found.append(f"<p>The {words} rows with the largest gaps:</p>" + table([("row", *rows[:10]), ("gap, nats", *(f"{g:.3f}" for g in gaps[:10]))]))
    return "".join(found)


# ---- the page ----

def section(title, *parts):
    body = "".join(parts)
    return f"<h2>{html.escape(title)}</h2>{body}" if body else ""


def verdict(run):
    group = run.group("/diagnose")
    if "verdict" not in group:
        return ""
    return f'<p class="verdict">{html.escape(str(group["verdict"]))}</p>'


def page(run):
    provenance = table([(name, value) for name, value in sorted(run.provenance.items())], "t")
    config = run.group("/config")
    effective = str(config["effective"]) if "effective" in config else ""
    title = f"{run.setting('model', 'name', 'run')}, {run.setting('inference', 'function', '')}: {run.name}"
    why = run.attributes.get("why_stopped", "")
    return "".join((
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{html.escape(title)}</title><style>{STYLE}</style></head><body>',
        f'<h1>{html.escape(title)}</h1><p class="about">{html.escape(run.origin)}; status {html.escape(str(run.status))}{html.escape(f" ({why})" if why and why != run.status else "")}</p>',
        key_numbers(run),
        section("Can the gap be closed?", verdict(run), floors(run)),
        section("What amortization costs", gap_sorted(run), avi_against_fvi(run), rungs(run)),
        section("Rows with the largest gaps", worst(run)),
        section("The fit", trace(run)),
        section("Images", drawn(plot.images, run)),
        section("Latent space", drawn(plot.latent, run)),
        section("Ranks", drawn(plot.ranks, run)),
        section("Provenance", provenance),
        section("Configuration", f"<details><summary>every key that was in force</summary><pre>{html.escape(effective)}</pre></details>" if effective else ""),
        "</body></html>\n"))


def report(run, path=None):
    """Writes one HTML page about a run, which needs no other file and has no scripts. Returns its path (str).

    run     a Run, or its folder
    path    of the page; None: report.html in the run's folder

    It shows what there is in run.h5: key numbers with errors, the verdict of diagnose, what amortization costs, the
    rows with the largest gaps, trace, images, latent space, ranks, provenance and configuration.
    NotFound or DataError for what is no run, CannotCreate where the page cannot be written.
    """
    run = runs_of(run)[0]
    path = os.fspath(path if path is not None else os.path.join(run.folder, "report.html"))
    text = page(run)
    part = f"{path}.{os.getpid()}.part"
    try:
        with open(part, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(part, path)
    except OSError as error:
        raise CannotCreate(f"{path}: cannot be written: {error.strerror}; give another file with path=, or -o") from error
    return path


def main():
    """python -m avi_mpi.report RUN"""
    parser = argparse.ArgumentParser(description="Writes one self-contained HTML page about a run.")
    parser.add_argument("run", help="folder of a run, or its run.h5")
    parser.add_argument("-o", "--output", help="page to write (default: report.html in the run's folder)")
    given = parser.parse_args()
    print(shown(report(given.run, given.output)))
