#!/usr/bin/python3
"""Writes one page about a run that needs nothing else: what it found, figures, configuration and provenance.

    analysis/report.py runs/vae                    -> runs/vae/report.html
    analysis/report.py runs/vae -o vae.html

Shows what there is in run.h5: the trace, what amortization costs (/gap), whether an inference function exists (/diagnose), the rows with the largest gaps, images,
the latent dimensions that are used most. The page has no links to other files and no scripts, so that it can be sent as it is.
"""

import argparse
import base64
import html
import io
import os

import numpy as np

from avi_read import Run, as_script
from figure import COLOURS, plt

SETS = (("train", "training"), ("test", "held-out"))
RUNGS = ("inference function", "own factor", "full covariance", "more starts", "importance resampling", "served by none")
MOST_DOTS = 5000

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0.2rem; } h2 { font-size: 1.15rem; margin: 2rem 0 0.4rem; border-bottom: 1px solid #ccc; }
.about { color: #666; margin-top: 0; } .verdict { background: #eef4f9; border-left: 5px solid #0072B2; padding: 0.6rem 1rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; } td, th { padding: 0.15rem 1.2rem 0.15rem 0; text-align: left; vertical-align: top; } td.n { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; } figcaption { color: #555; font-size: 0.9rem; }
pre { background: #f6f6f6; padding: 0.8rem; overflow-x: auto; font-size: 0.8rem; } details summary { cursor: pointer; }
"""


def picture(figure, words):
    """The figure in the page itself, with what it shows in words."""
    store = io.BytesIO()
    figure.tight_layout()
    figure.savefig(store, format="png")
    plt.close(figure)
    data = base64.b64encode(store.getvalue()).decode()
    return f'<figure><img alt="{html.escape(words, quote=True)}" src="data:image/png;base64,{data}"><figcaption>{html.escape(words)}</figcaption></figure>'


def table(rows, kind="n"):
    cells = "".join(f"<tr><th>{html.escape(name)}</th>" + "".join(f'<td class="{kind}">{html.escape(str(v))}</td>' for v in values) + "</tr>" for name, *values in rows)
    return f"<table>{cells}</table>"


def number(value, error=None):
    if value is None or not np.isfinite(value):
        return "-"
    if error is None or not np.isfinite(error) or error <= 0:
        return f"{value:.4f}"
    places = min(6, max(0, 1 - int(np.floor(np.log10(error)))))
    return f"{value:.{places}f} \u00b1 {error:.{places}f}"


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

def trace(run):
    if "step" not in run.trace or not len(run.trace["step"]):
        return ""
    step, elbo = run.trace["step"].ravel(), run.trace["elbo_per_row"].ravel()
    figure, axes = plt.subplots(figsize=(7, 3))
    axes.plot(step, elbo, color=COLOURS[0], linewidth=1, label="steps (batches of training rows)")
    for number_, (one, words) in enumerate(SETS):
        values = run.eval[f"elbo_{one}"].ravel() if f"elbo_{one}" in run.eval else np.empty(0)
        if np.isfinite(values).any():
            order = np.argsort(run.eval["step"].ravel(), kind="stable")  # the last one may be of best parameters from before
            axes.plot(run.eval["step"].ravel()[order], values[order], "o-", color=COLOURS[1 + number_], markersize=3, linewidth=0.8, label=f"evaluations, {words} rows")
    tail = elbo[max(1, len(elbo) // 20):]
    if np.isfinite(tail).any():
        low, high = np.nanpercentile(tail, 1), np.nanmax(tail)
        axes.set_ylim(low - 0.1 * (high - low) - 1e-9, high + 0.1 * (high - low) + 1e-9)
    axes.set(xlabel="step", ylabel="ELBO (nats per row)")
    axes.legend(fontsize=8, loc="lower right")
    return picture(figure, "The ELBO during the fit; its first fall may lie below the picture.")


def gap_sorted(run):
    figure, axes = plt.subplots(figsize=(7, 3.2))
    for number_, (one, words) in enumerate(SETS):
        group = run.group(f"/gap/{one}")
        if not group:
            continue
        gap, error = group["amortization_gap"], group["amortization_gap_error"]
        order = np.argsort(-np.where(np.isfinite(gap), gap, -np.inf))
        order = order[np.isfinite(gap[order])]
        if not len(order):
            continue
        x = 100 * (np.arange(len(order)) + 0.5) / len(order)
        axes.fill_between(x, gap[order] - 2 * error[order], gap[order] + 2 * error[order], color=COLOURS[number_], alpha=0.2, linewidth=0)
        axes.plot(x, gap[order], color=COLOURS[number_], label=f"{words} rows, mean {gap[order].mean():.4g}")
    if not axes.lines:
        plt.close(figure)
        return ""
    axes.set(xlabel="rows, the largest gap first (%)", ylabel="amortization gap (nats)")
    axes.legend(fontsize=8)
    return picture(figure, "What the inference function costs each row against a factor of its own, with two Monte Carlo standard errors. Where the curves lie apart, "
                           "the function serves rows that it was not fitted to less well.")


def avi_against_fvi(run):
    figure, axes = plt.subplots(figsize=(4.6, 4.2))
    for number_, (one, words) in enumerate(SETS):
        group = run.group(f"/gap/{one}")
        if group:
            a, f = group["elbo_avi"], group["elbo_fvi"]
            step = max(1, len(a) // MOST_DOTS)
            axes.plot(f[::step], a[::step], ".", color=COLOURS[number_], markersize=2.5, alpha=0.5, label=f"{words} rows")
    values = np.concatenate([line.get_xdata() for line in axes.lines]) if axes.lines else np.empty(0)
    values = values[np.isfinite(values)]
    if not len(values):
        plt.close(figure)
        return ""
    axes.plot([values.min(), values.max()], [values.min(), values.max()], color="#666666", linewidth=0.8)
    axes.set(xlabel="ELBO with its own factor (nats)", ylabel="ELBO with the function's (nats)")
    axes.legend(fontsize=8, markerscale=4)
    return picture(figure, "A-VI against F-VI, row by row: on the line the function does as well as a factor of the row's own.")


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
    figure, axes = plt.subplots(figsize=(6, 2.8))
    axes.bar(names, value, yerr=2 * error, color=COLOURS[0], width=0.6, error_kw={"elinewidth": 1, "ecolor": "#444444"})
    for place, one in enumerate(value):
        axes.annotate(f"{one:.3g}" if one > 1e-8 else "0", (place, one), xytext=(0, 4), textcoords="offset points", ha="center", fontsize=8)
    axes.set(ylabel="floor (nats per row)", xlabel="inference.domain", ylim=(0, 1.2 * max(value.max(), 1e-12)))
    return picture(figure, "The least gap that a smooth inference function of each domain leaves.")


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
            figure, axes = plt.subplots(3, 1, figsize=(9, 2.3))
            for axis, name, label in zip(axes, ("worst_original", "worst_function", "worst_own"), ("row", "E[x], function", "E[x], own factor")):
                tiles(group[name].reshape(-1, height, columns), axis, label)
            found.append(picture(figure, f"The {words} rows with the largest gaps, {gaps[0]:.2f} to {gaps[-1]:.2f} nats: rows {', '.join(map(str, rows))}."))
        else:
            found.append(f"<p>The {words} rows with the largest gaps:</p>" + table([("row", *rows[:10]), ("gap, nats", *(f"{g:.3f}" for g in gaps[:10]))]))
    return "".join(found)


def examples(run):
    if "original" not in run.images or "reconstruction" not in run.images:
        return ""
    height, columns = int(run.images.attributes.get("height", 0)), int(run.images.attributes.get("columns", 0))
    original, reconstruction = run.images["original"][:16], run.images["reconstruction"][:16]
    if height * columns != original.shape[1]:
        return ""
    parts = [(original, "originals"), (reconstruction, "reconstructions")] + ([(run.images["sample"][:16], "samples")] if "sample" in run.images else [])
    figure, axes = plt.subplots(len(parts), 1, figsize=(9, 0.75 * len(parts)))
    for axis, (values, words) in zip(axes, parts):
        tiles(np.asarray(values, float).reshape(-1, height, columns), axis, words)
    return picture(figure, "Originals, their reconstructions, and samples from the prior.")


def latent(run):
    if "mean" not in run.local:
        return ""
    dataset = run.local.dataset("mean")
    if len(dataset.shape) != 2 or dataset.shape[1] < 2 or dataset.shape[0] < 2:
        return ""
    mean = np.asarray(dataset[::max(1, dataset.shape[0] // MOST_DOTS)], float)
    use = mean.var(axis=0)
    first, second = np.argsort(-use, kind="stable")[:2]
    figure, (plane, bars) = plt.subplots(1, 2, figsize=(9, 3.6))
    plane.scatter(mean[:, first], mean[:, second], s=3, alpha=0.4, color=COLOURS[0], linewidths=0)
    plane.set(xlabel=f"mean of z[{first}]", ylabel=f"mean of z[{second}]")
    plane.set_aspect("equal", "datalim")
    order = np.argsort(-use)[:40]
    bars.bar(np.arange(len(order)), use[order], color=COLOURS[0])
    bars.set(xticks=np.arange(len(order)), xlabel="dimension", ylabel="variance of the means over rows")
    bars.set_xticklabels(order, fontsize=6)
    return picture(figure, f"Means of the factors of {len(mean)} rows in the two latent dimensions that are used most, and how much each dimension is used.")


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
        section("Images", examples(run)),
        section("Latent space", latent(run)),
        section("Provenance", provenance),
        section("Configuration", f"<details><summary>every key that was in force</summary><pre>{html.escape(effective)}</pre></details>" if effective else ""),
        "</body></html>\n"))


def main():
    parser = argparse.ArgumentParser(description="Writes one self-contained HTML page about a run.")
    parser.add_argument("run", help="folder of a run, or its run.h5")
    parser.add_argument("-o", "--output", help="page to write (default: report.html in the run's folder)")
    arguments = parser.parse_args()
    with Run(arguments.run) as run:
        output = arguments.output or os.path.join(run.folder, "report.html")
        text = page(run)
    temporary = output + ".part"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, output)
    near = os.path.relpath(output)
    print(output if near.startswith("..") else near)


as_script(main)
