#!/usr/bin/python3
"""Tables and figures of the runs of jobs/questions.sh: the open questions of Margossian & Blei (2024), answered for the models of this program.

    analysis/plot_questions.py sizes runs/questions/sizes        -> table.md, table.csv, runs.csv and sizes.png there
    ... --record analysis/questions                              -> copies table.md, runs.csv and the figure there as sizes.md, sizes.csv and sizes.png

Questions: sizes, optimizers, classes, widths, priors, heldout. Gaps are in nats per row: the ELBO of the best factorized solution less that of the amortized one.
"""

import argparse
import math
import os
import shutil

import numpy as np

from avi_read import as_script
from figure import COLOURS, plt, save
from paper_runs import Origin, made, write_runs, write_table
from questions_runs import CLOSED, groups, load

CLOSE = 0.01  # nats per row: a gap below it counts as closed
TINY = 1e-7  # the least that is drawn


def mean_of(runs, name):
    values = [getattr(r, name) for r in runs if math.isfinite(getattr(r, name))]
    return float(np.mean(values)) if values else math.nan


def spread_of(runs, name):
    """Smallest to largest over the runs, in words."""
    values = [getattr(r, name) for r in runs if math.isfinite(getattr(r, name))]
    return f"{min(values):.4f} to {max(values):.4f}" if len(values) > 1 else ""


def finish(figure, folder, question, results):
    save(figure, os.path.join(folder, f"{question}.png"), [Origin(results, folder)])


def loglog(axes, title, x="number of rows N", y="gap (nats per row)"):
    axes.set(title=title, xlabel=x, ylabel=y, xscale="log", yscale="log")


def ticks(axis, values):
    """The values themselves on a logarithmic axis."""
    axis.set_ticks(sorted(values), [str(v) for v in sorted(values)])
    axis.set_minor_locator(plt.NullLocator())


# ---- sizes ----

def sizes(folder, results):
    rows, exact = [], [r for r in results if r.task == "exact"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.8))
    curves = []
    for key, runs in groups(exact, lambda r: (r.model, r.domain)).items():
        for function in ("constant", "degree_1"):
            if function == "constant" and (key[1] != "self" or key[0] == "ppca"):
                continue
            runs.sort(key=lambda r: r.rows)
            limit = CLOSED.get((*key, function))
            limit = limit() if callable(limit) else limit
            name = f"{key[0]}, {'a constant' if function == 'constant' else f'f({key[1]}) affine'}"
            curves.append((name, runs, [r.exact[f"gap_{function}"] / r.rows for r in runs], limit))
    for k, (name, runs, gaps, limit) in enumerate(curves):
        colour = plt.get_cmap("tab20")(k % 20)
        left.plot([r.rows for r in runs], [max(g, TINY) for g in gaps], "o-", color=colour, markersize=3, linewidth=1, label=name)
        if limit is not None and limit > 0:
            left.plot([runs[0].rows, runs[-1].rows], [limit] * 2, ":", color=colour, linewidth=1)
        rows += [[name, r.rows, g, None, None if limit is None else limit, "closed form"] for r, g in zip(runs, gaps)]
    loglog(left, "Closed forms (dotted: the limit for N to infinity)")
    left.legend(fontsize=6.5, ncol=3, loc="upper left", bbox_to_anchor=(0, -0.17))
    for k, (model, runs) in enumerate(groups([r for r in results if r.task == "fit"], lambda r: r.model).items()):
        by_size = groups(runs, lambda r: r.rows)
        for name, style in (("gap_train", "o-"), ("gap_test", "s--")):
            at = [(n, mean_of(by_size[n], name)) for n in sorted(by_size)]
            right.plot([n for n, _ in at], [max(g, TINY) for _, g in at], style, color=COLOURS[k], markersize=4, linewidth=1.2,
                       label=f"{model}, {'training' if name == 'gap_train' else 'held-out'} rows")
        rows += [[f"{model}, network of width {by_size[n][0].hidden}", n, mean_of(by_size[n], "gap_train"), mean_of(by_size[n], "gap_test"), 0.0, f"fits, {len(by_size[n])} seeds"]
                 for n in sorted(by_size)]
    loglog(right, "Fitted networks: gap row by row, theta fixed")
    right.legend(fontsize=7)
    finish(figure, folder, "sizes", results)
    write_table(folder, "sizes: the amortization gap against the number of rows, nats per row",
                {"model and class": None, "N": 0, "gap, training rows": 5, "gap, held-out rows": 5, "limit for large N": 5, "from": None}, rows,
                ["The gap is that of the ELBO per row between F-VI and A-VI. Closed forms: the best polynomial f of run.task = exact; their limits for N to infinity are worked out from the model "
                 "(linear, saw) or from its spectrum (hmm).",
                 "Fitted networks: the gap ledger, which fits a factor to each row with theta fixed. The limit 0 is that of a function that is flexible enough (theorem 3.2): what training "
                 "rows lose is what "
                 "the optimizer and the width leave, what held-out rows lose is what the function has not learnt from N rows.", made(results)])


# ---- optimizers ----

def optimizers(folder, results):
    best = max((r for r in results if r.sweep == "best"), key=lambda r: r.elbo)
    others = [r for r in results if r.sweep != "best" and math.isfinite(r.elbo)]
    single = [r for r in results if r.sweep == "best" and r.starts == 1]
    kinds = groups(others, lambda r: (r.function == "mlp", r.starts, r.rate if r.function == "mlp" else "", r.schedule, r.estimator))
    rows, boxes = [], []
    for kind in sorted(kinds):
        runs = kinds[kind]
        gaps = sorted((best.elbo - r.elbo) / r.rows for r in runs)
        name = f"A-VI, rate {kind[2]}" if kind[0] else f"F-VI, {kind[1]} start{'s' if kind[1] > 1 else ''}"
        rows.append([name, kind[3], kind[4], len(runs), gaps[0], float(np.median(gaps)), gaps[-1]])
        boxes.append((f"{name}, {kind[3]}, {kind[4]}", gaps, COLOURS[1 if kind[0] else 0]))
    figure, axes = plt.subplots(figsize=(8.5, 0.28 * len(boxes) + 1.6))
    for k, (name, gaps, colour) in enumerate(boxes):
        axes.plot(gaps, [-k] * len(gaps), "o", color=colour, markersize=4, alpha=0.6)
        axes.plot([gaps[0], gaps[-1]], [-k, -k], color=colour, linewidth=1)
    axes.set_yticks([-k for k in range(len(boxes))], [name for name, *_ in boxes], fontsize=7)
    if single:
        axes.axvline((best.elbo - single[0].elbo) / best.rows, color="#666666", linestyle=":", linewidth=1, label="F-VI, one start, converged without noise")
        axes.legend(fontsize=7, loc="upper right")
    axes.set(title="nonlinear: below the best factorized solution known", xlabel="nats per row", xlim=(min(0, *(g[0] for _, g, _ in boxes)), None))
    finish(figure, folder, "optimizers", results)
    write_table(folder, f"optimizers: nats per row below the best factorized solution known, nonlinear model, {best.rows} rows",
                {"method": None, "schedule": None, "estimator": None, "seeds": 0, "least": 4, "median": 4, "largest": 4}, rows,
                [f"Theoretically reachable is 0: F-VI, {best.starts} starts of each factor, L-BFGS, no Monte Carlo noise (ELBO {best.elbo:.3f}). One start of each factor, also without noise, ends "
                 + (f"{(best.elbo - single[0].elbo) / best.rows:.4f} nats per row below it: its factors stay in the first mode of their posterior." if single else "elsewhere."),
                 "ELBOs are those of the fitted factors by quadrature, not the noisy estimates of the runs. A-VI: two networks of two layers of width 16.", made(results)])


# ---- classes ----

def classes(folder, results):
    figure, all_axes = plt.subplots(2, 2, figsize=(11.5, 7.4))
    rows = []
    for (left, right), model in zip(all_axes, ("nonlinear", "hier_logistic")):
        of_model = [r for r in results if r.model == model]
        best = {r.seed: r.elbo_reported for r in of_model if r.sweep.endswith("optimum")}  # every seed draws data of its own
        kinds = groups([r for r in of_model if not r.sweep.endswith("optimum")], lambda r: (r.kind, r.label))
        for k, (kind, labels) in enumerate(groups(list(kinds), lambda key: key[0]).items()):
            labels.sort(key=lambda key: kinds[key][0].parameters)
            runs = [kinds[key] for key in labels]
            if kind != "F-VI":
                for name, style in (("gap_train", "o-"), ("gap_test", "s:")):
                    left.plot([one[0].parameters for one in runs], [max(min(getattr(r, name) for r in one), 1e-6) for one in runs], style, color=plt.get_cmap("tab10")(k), markersize=4, linewidth=1,
                              label=kind if name == "gap_train" else None)
            steepest = min(runs[-1], key=lambda r: r.gap_train if math.isfinite(r.gap_train) else 0)
            step, elbo = steepest.trace["step"], steepest.trace["elbo"]
            right.plot(step, np.maximum((best[steepest.seed] - elbo) / steepest.rows, 1e-5), color="black" if kind == "F-VI" else plt.get_cmap("tab10")(k), linewidth=1,
                       label=f"{kind}: {labels[-1][1]}")
        for (kind, label), runs in sorted(kinds.items(), key=lambda item: (item[0][0] != "F-VI", item[0][0], item[1][0].parameters)):
            rows.append([f"{model}: {kind}", label, runs[0].parameters or None, len(runs), min(r.gap_train for r in runs), mean_of(runs, "gap_train"), min(r.gap_test for r in runs),
                         float(np.median([r.steps_to(best[r.seed] - CLOSE * r.rows) for r in runs]))])
        loglog(left, f"{model}: gap against parameters (dotted: held-out)", "parameters of the inference function")
        left.axhline(CLOSE, color="#666666", linewidth=0.7)
        left.legend(fontsize=7)
        loglog(right, f"{model}: ELBO below the optimum of F-VI, while fitting", "step", "nats per row")
        right.axhline(CLOSE, color="#666666", linewidth=0.7)
        right.legend(fontsize=6.5)
    finish(figure, folder, "classes", results)
    write_table(folder, "classes: which functions reach the factorized optimum, and after how many steps",
                {"model: class": None, "size": None, "parameters": 0, "seeds": 0, "least gap, training": 5, "mean gap, training": 5, "least gap, held-out": 5,
                 f"steps to {CLOSE:g} nats per row": 0}, rows,
                [f"Gaps in nats per row by the ledger, theta fixed. Steps: median over seeds, until the ELBO is within {CLOSE:g} nats per row of F-VI's optimum (L-BFGS, one start). All fits: Adam, "
                 "learning rate 0.01 (polynomials 0.001) falling along a cosine, all rows at each step, expectations by quadrature.", made(results)])


# ---- widths ----

def widths(folder, results):
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4))
    rows, needed = [], []
    for k, (n, runs) in enumerate(sorted(groups(results, lambda r: r.rows).items())):
        by_width = groups(runs, lambda r: r.width)
        at = sorted(by_width)
        left.plot(at, [max(min(r.gap_train for r in by_width[w]), 1e-6) for w in at], "o-", color=COLOURS[k % 7], markersize=4, label=f"N = {n}")
        left.plot(at, [max(min(r.gap_test for r in by_width[w]), 1e-6) for w in at], "s:", color=COLOURS[k % 7], markersize=3, linewidth=1)
        for name, column in (("gap_train", 0), ("gap_test", 1)):
            enough = [w for w in at if min(getattr(r, name) for r in by_width[w]) < 5 * CLOSE]
            needed.append((n, column, enough[0] if enough else math.nan))
        rows += [[str(n), w, len(by_width[w]), min(r.gap_train for r in by_width[w]), mean_of(by_width[w], "gap_train"), min(r.gap_test for r in by_width[w]), mean_of(by_width[w], "gap_test")]
                 for w in at]
    loglog(left, "nonlinear: gap against width (dotted: held-out rows)", "width of both hidden layers")
    ticks(left.xaxis, {r.width for r in results})
    left.axhline(5 * CLOSE, color="#666666", linewidth=0.7)
    left.legend(fontsize=8)
    for column, words in ((0, "training rows"), (1, "held-out rows")):
        right.plot([n for n, c, _ in needed if c == column], [w for _, c, w in needed if c == column], "os"[column] + ("-" if not column else ":"), color=COLOURS[column], label=words)
    loglog(right, f"Smallest width with a gap below {5 * CLOSE:g} nats per row", y="width")
    ticks(right.yaxis, {r.width for r in results})
    right.legend(fontsize=8)
    finish(figure, folder, "widths", results)
    told = "; ".join(f"N = {n}: {'none of these' if math.isnan(w) else f'{w:g}'} on {('training', 'held-out')[c]} rows" for n, c, w in needed)
    write_table(folder, "widths: does the width that is needed grow with N? nonlinear model",
                {"N": None, "width": 0, "seeds": 0, "least gap, training": 5, "mean, training": 5, "least gap, held-out": 5, "mean, held-out": 5}, rows,
                [f"Smallest width whose best seed loses less than {5 * CLOSE:g} nats per row: {told}. An empty place in the figure: none of these widths.",
                 "Gaps in nats per row by the ledger, theta fixed: two networks of two hidden layers, Adam.", made(results)])


# ---- priors ----

def priors(folder, results):
    figure, all_axes = plt.subplots(1, 2, figsize=(10.5, 4))
    rows = []
    for axes, model, key in zip(all_axes, ("hmm", "gp"), ("A", "lengthscale")):
        for k, (value, runs) in enumerate(sorted(groups([r for r in results if r.model == model], lambda r: float(r.setting("model", key))).items())):
            runs.sort(key=lambda r: r.seen)
            gaps = [r.exact["gap_degree_1"] / r.rows for r in runs]
            axes.plot([r.seen for r in runs], [max(g, 1e-12) for g in gaps], "o-", color=COLOURS[k % 7], markersize=4, label=f"{key} = {value:g}")
            rows += [[f"{model}, {key} = {value:g}", r.domain, r.seen, g, r.exact["gap_constant"] / r.rows, r.exact["approximation_gap"] / r.rows] for r, g in zip(runs, gaps)]
        loglog(axes, {"hmm": "Markov chain z_n ~ N(A z_{n-1}, 1)", "gp": "Gaussian process, Matern 3/2"}[model], "rows that f sees")
        axes.set_xticks([1, 3, 5, 9, 17, 33], ["1", "3", "5", "9", "17", "33"])
        axes.minorticks_off()
        axes.legend(fontsize=8)
    finish(figure, folder, "priors", results)
    write_table(folder, "priors: what a window closes where the prior is not factored, nats per row",
                {"model": None, "domain": None, "rows seen": 0, "gap of the best affine f": 8, "gap of a constant": 4, "approximation gap": 4}, rows,
                ["Closed forms of run.task = exact. No window closes the gap (Margossian & Blei, section 3.3), but with every row that f sees it falls by about a factor: that by which the posterior "
                 "of a row forgets rows further away. Where a curve becomes flat, what is left are the two ends of the series, where a window is cut off: a number of nats that does not grow "
                 "with N.", made(results)])


# ---- held-out rows ----

def heldout(folder, results):
    figure, all_axes = plt.subplots(1, 2, figsize=(10.5, 4), sharey=True)
    rows = []
    for axes, patience in zip(all_axes, (0, 5)):
        chosen = [r for r in results if int(r.setting("stop", "patience", "0")) == patience]
        for k, (n, runs) in enumerate(sorted(groups(chosen, lambda r: r.rows).items())):
            by_width = groups(runs, lambda r: r.width)
            at = sorted(by_width)
            for name, style in (("gap_train", "o-"), ("gap_test", "s:")):
                axes.plot(at, [mean_of(by_width[w], name) for w in at], style, color=COLOURS[k % 7], markersize=4, label=f"N = {n}" if name == "gap_train" else None)
            rows += [[str(n), w, "yes" if patience else "no", len(by_width[w]), mean_of(by_width[w], "gap_train"), mean_of(by_width[w], "gap_test"),
                      mean_of(by_width[w], "gap_test") - mean_of(by_width[w], "gap_train"), mean_of(by_width[w], "test_elbo"), mean_of(by_width[w], "test_fvi")] for w in at]
        axes.set(title="All steps" if not patience else "Stopped early (stop.patience = 5)", xlabel="width of the encoder", ylabel="gap (nats per row; dotted: held-out)", xscale="log")
        ticks(axes.xaxis, {r.width for r in results})
        axes.legend(fontsize=8)
    finish(figure, folder, "heldout", results)
    write_table(folder, "heldout: the generalization gap of the inference function, vae, nats per row",
                {"N": None, "width": 0, "stopped early": None, "seeds": 0, "gap, training": 3, "gap, held-out": 3, "generalization gap": 3, "held-out ELBO": 3,
                 "held-out ELBO, own factors": 3}, rows,
                ["The generalization gap is the held-out amortization gap less the training one, with the decoder of the same fit. With own factors the last column is what the decoder "
                 "allows on held-out rows: "
                 "its fall from early stopping to all steps is the decoder's own overfitting.", made(results)])


QUESTIONS = {"sizes": sizes, "optimizers": optimizers, "classes": classes, "widths": widths, "priors": priors, "heldout": heldout}


def main():
    parser = argparse.ArgumentParser(description="Tables and figures of the runs of jobs/questions.sh.")
    parser.add_argument("question", choices=QUESTIONS)
    parser.add_argument("folder", help="runs/questions/QUESTION")
    parser.add_argument("--record", metavar="FOLDER", help="where the table, its runs and the figure go")
    given = parser.parse_args()
    results = load(given.folder)
    QUESTIONS[given.question](given.folder, results)
    write_runs(given.folder, results, {"rows": lambda r: r.rows, "gap_train": lambda r: f"{r.gap_train:.6g}", "gap_test": lambda r: f"{r.gap_test:.6g}"})
    if given.record:
        os.makedirs(given.record, exist_ok=True)
        for name, ending in (("table.md", "md"), ("runs.csv", "csv"), (f"{given.question}.png", "png")):
            shutil.copyfile(os.path.join(given.folder, name), os.path.join(given.record, f"{given.question}.{ending}"))


as_script(main)
