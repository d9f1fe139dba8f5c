#!/usr/bin/python3
"""Tables and figures of the runs of jobs/paper.sh, with the numbers of Margossian & Blei (2024) beside.

    analysis/plot_paper.py saw runs/paper/saw        -> table.md, table.csv, runs.csv and figures there
    ... --record analysis/paper_results              -> copies table.md to saw.md and runs.csv to saw.csv, for the repository; methods that have no runs here keep their lines

Models: linear, nonlinear, saw, hmm, vae. Losses are what the fitted factors are worth by closed form or quadrature, not the noisy estimates of the runs.
"""

import argparse
import math
import os

import numpy as np

import paper_loss
from avi_read import RunError, as_script
from figure import COLOURS, plt, save
from paper_runs import NOTEBOOK, PAPER, Origin, load, made, number, record, write_runs, write_table

NEVER = "#999999"


def rows_seen(domain):
    """Place on the axis: how many rows the inference function sees."""
    return {"self": 1, "next": 2, "ahead": 1}.get(domain) or 2 * int(domain.partition(":")[2]) + 1


def order(method):
    """F-VI, constant, then by domain and width; those with the notebook's objective behind the others."""
    plain = method.removesuffix(NOTEBOOK)
    first = {"F-VI": 0, "constant": 1}.get(plain, 2)
    domain, _, width = plain.rpartition(", ")
    digits = "".join(c for c in width if c.isdigit())
    return (plain != method, first), rows_seen(domain) if domain else 0, domain + NOTEBOOK * (plain != method), width.startswith("k"), int(digits or 0)


def methods_of(results):
    return sorted({r.method for r in results}, key=order)


def colour_of(methods):
    """F-VI black, constant grey, the widths or degrees of a domain from dark to light in one hue."""
    found, families = {"F-VI": "black", "constant": NEVER}, {}
    for name in methods:
        if name not in found:
            families.setdefault(order(name)[2], []).append(name)
    for family, hue in zip(families.values(), ("winter", "autumn", "cool", "copper")):
        for i, name in enumerate(family):
            found[name] = plt.get_cmap(hue)(0.05 + 0.65 * i / max(1, len(family) - 1))
    return found


def box(axes, groups, labels, colours, limit, absent="never"):
    """Box plots, a box a method; methods that do not arrive get a word instead."""
    for place, (values, colour) in enumerate(zip(groups, colours), 1):
        finite = [v for v in values if math.isfinite(v)]
        if finite:
            axes.boxplot([finite], positions=[place], widths=0.6, showfliers=False, medianprops={"color": colour, "linewidth": 1.6},
                         boxprops={"color": colour}, whiskerprops={"color": colour}, capprops={"color": colour})
            axes.plot(np.full(len(finite), place) + np.linspace(-0.15, 0.15, len(finite)), finite, ".", color=colour, markersize=4)
        if len(finite) < len(values):
            word = absent if not finite else f"{len(values) - len(finite)} {absent}"
            axes.text(place, limit, word, ha="center", va="top", color=NEVER, fontsize=7, rotation=90 if len(groups) > 6 else 0)
    axes.set_xticks(range(1, len(labels) + 1), labels, rotation=35 if len(labels) > 4 else 0, ha="right" if len(labels) > 4 else "center")
    axes.set(xlim=(0.4, len(labels) + 0.6))


def paper_marks(axes, labels, values):
    """The paper's medians, or spans, as diamonds; the title says so."""
    shown = False
    for place, name in enumerate(labels, 1):
        value = values.get(name)
        for v in value if isinstance(value, list) else [value]:
            if v is not None and v <= axes.get_ylim()[1]:
                axes.plot(place, v, "D", color="black", markersize=4, markerfacecolor="white", zorder=5)
                shown = True
    if shown:
        axes.set_title(axes.get_title(loc="left") + " (diamonds: the paper)")


# ---- linear, nonlinear, saw --------------------------------------------------------------------------------------------------


def best_known(results):
    """F-VI's final loss, and the closed form where there is one."""
    losses = [r.loss for r in results if r.method == "F-VI" and math.isfinite(r.loss)]
    return min(losses) if losses else math.nan


def closed_form(results):
    """Best loss of a method, from the closed forms of paper_loss.py: the data of the runs are the same."""
    found = {}
    for r in results:
        if r.exact and r.task == "exact" and math.isfinite(r.offset) and r.rows == max(q.rows for q in results if q.task == "fit"):
            found["F-VI"] = r.offset - r.exact["elbo"]
            found["constant"] = r.offset - r.exact["elbo_constant"]
            if r.model == "saw" and r.domain == "ahead":
                found["ahead, affine"] = r.offset - r.exact["elbo_degree_1"]
    return found


def rate_of(r, rates):
    return f" (rate {r.rate})" if len(rates) > 1 else ""


def loss_table(model, folder, results, target):
    fits = [r for r in results if r.task == "fit"]
    noisy = [r for r in fits if not r.without_noise]
    rates, exact = sorted({r.rate for r in noisy}), closed_form(results)
    rows = []
    for name in methods_of(fits):
        calm = [r.loss for r in fits if r.method == name and r.without_noise]
        for rate in rates or [""]:
            runs = [r for r in noisy if r.method == name and r.rate == rate]
            if not runs and rates:
                continue
            ours, arrival = [r.loss for r in runs if math.isfinite(r.loss)], [r.steps_to(target) for r in runs]
            paper = PAPER[model].get(name, {}) if len(rates) < 2 or float(rate) == 1e-3 else {}
            steps = paper.get("steps", math.nan)
            rows.append([name + rate_of(runs[0], rates) if runs else name, f"{len(ours)}", min(ours, default=math.nan), np.median(ours) if ours else math.nan,
                         min(calm, default=math.nan), exact.get(name), paper.get("loss"), float(np.median(arrival)) if arrival else math.nan,
                         math.inf if steps is None else steps])
    columns = {"method": None, "seeds": None, "best loss": 2, "median loss": 2, "best without noise": 2, "closed form": 2, "paper's best": 2, "steps to 1 %": 0,
               "paper's steps": 0}
    write_table(folder, f"{model}: losses in the unit of the paper's code", columns, rows, [*notes(model, target, exact), made(results)])


def notes(model, target, exact):
    lines = ["best, median: over seeds, of the factors that the fits ended with, by closed form or quadrature. best without noise: objective.draws = 0 and L-BFGS.",
             f"steps to 1 %: median number of steps until the loss (running mean over 110 steps) is below {target:.2f}, 1 % above F-VI's best."]
    if model == "linear":
        lines.append("The paper drew other data from the same model, so losses differ by the draw; differences between methods do not.")
    if model == "nonlinear":
        lines.append("All are local optima: the best factorized solution known has loss 32220.81 (tests/reference/nonlinear_quadrature.py).")
    if "ahead, affine" in exact:
        lines.append(f"The best affine function of x_(n+1) alone has loss {exact['ahead, affine']:.3f}.")
    return lines


def draw_traces(model, folder, results, target, best):
    """Loss above F-VI's best against steps, the median over seeds; box plots of the steps to 1 %."""
    noisy = [r for r in results if r.task == "fit" and not r.without_noise and len(r.trace.get("step", ()))]
    rates = sorted({r.rate for r in noisy}, key=float)
    figure, all_axes = plt.subplots(len(rates), 2, figsize=(10, 3.7 * len(rates)), squeeze=False)
    names = methods_of(noisy)
    colours = colour_of(names)
    for (left, right), rate in zip(all_axes, rates):
        groups = []
        for name in names:
            runs = [r for r in noisy if r.method == name and r.rate == rate]
            groups.append([r.steps_to(target) for r in runs])
            for k, r in enumerate(runs):
                step, loss = r.losses()
                left.plot(step, np.maximum(loss - best, 0.1 * (target - best)), color=colours[name], linewidth=0.9, alpha=0.8, label=name if k == 0 else None)
        left.axhline(target - best, color="#666666", linewidth=0.8, linestyle=":")
        left.set(title=f"Loss above F-VI's optimum, learning rate {rate}", xlabel="step", ylabel="nats (dotted: 1 %, least drawn: 0.1 %)", xscale="log", yscale="log")
        left.legend(fontsize=6.5, ncol=2, loc="lower left")
        shown = [i for i, values in enumerate(groups) if values]
        longest = max(r.trace["step"][-1] for r in noisy)
        right.set(title="Steps to 1 % of F-VI's loss", ylabel="steps", ylim=(0, 1.08 * longest))
        box(right, [groups[i] for i in shown], [names[i] for i in shown], [colours[names[i]] for i in shown], 1.05 * longest)
        if len(rates) == 1 or float(rate) == 1e-3:
            paper_marks(right, [names[i] for i in shown], {n: v.get("steps") for n, v in PAPER[model].items()})
    save(figure, os.path.join(folder, "loss.png"), [Origin(noisy, folder)])


def draw_widths(model, folder, results, best):
    """Loss above the best against the width of the network: every seed, the paper's best beside."""
    networks = [r for r in results if r.task == "fit" and r.function == "mlp" and math.isfinite(r.loss)]
    domains = sorted({r.method.rpartition(", ")[0] for r in networks})
    figure, axes = plt.subplots(figsize=(6.8, 3.8))
    floor, above = 1e-3, "F-VI's optimum"
    if model == "nonlinear":  # F-VI ends in a local optimum, and networks in better ones
        best = min([best, *(r.loss for r in networks), *(v["loss"] for v in PAPER[model].values())])
        floor, above = 1.0, "the lowest here"
    for i, domain in enumerate(domains):
        for calm, marker in ((False, "o"), (True, "x")):
            runs = [r for r in networks if r.method.rpartition(", ")[0] == domain and r.without_noise == calm]
            widths = np.array([order(r.method)[-1] for r in runs], float)
            gaps = np.array([max(r.loss - best, floor) for r in runs])
            name = (f"f({domain})" if domain else "network") + (", no noise, L-BFGS" if calm else ", Adam")
            axes.plot(widths * (1.03 if calm else 0.97), gaps, marker, color=COLOURS[i], markersize=4, alpha=0.7, label=name if len(runs) else None)
            if len(runs):
                lowest = [(w, gaps[widths == w].min()) for w in sorted(set(widths))]
                axes.plot(*zip(*lowest), color=COLOURS[i], linewidth=1, linestyle=":" if calm else "-")
        paper = [(order(n)[-1], max(v["loss"] - best, floor)) for n, v in PAPER[model].items() if "k =" in n and n.rpartition(", ")[0] == domain]
        if paper:
            axes.plot(*zip(*sorted(paper)), "D", color="black", markerfacecolor=COLOURS[i], markersize=5, label=f"paper{', f(' + domain + ')' if domain else ''}")
    constant = [r.loss - best for r in results if r.task == "fit" and r.method == "constant" and math.isfinite(r.loss)]
    if constant:
        axes.axhline(min(constant), color=NEVER, linewidth=0.9, linestyle="--", label="constant")
    axes.set(title=f"Loss above {above} against network width", xlabel="width k of both hidden layers", ylabel=f"nats (at least {floor:g} drawn)", xscale="log", yscale="log")
    ticks = sorted({order(name)[-1] for name in [*PAPER[model], *(r.method for r in networks)] if "k =" in name})
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.minorticks_off()
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.01, 0.5))
    save(figure, os.path.join(folder, "gap.png"), [Origin(networks, folder)])


def draw_sizes(folder, results):
    """Gap of the best constant and polynomials against the number of rows: closed forms of task = exact."""
    runs = sorted((r for r in results if r.task == "exact" and r.exact), key=lambda r: r.rows)
    if len(runs) < 2:
        return
    figure, axes = plt.subplots(figsize=(5.4, 3.4))
    for name, label in (("gap_constant", "constant"), ("gap_degree_1", "degree 1"), ("gap_degree_2", "degree 2")):
        axes.plot([r.rows for r in runs], [max(r.exact.get(name, math.nan), 1e-7) for r in runs], "o-", markersize=4, label=label)
    axes.set(title="Smallest possible gap against the number of datapoints", xlabel="N", ylabel="nats (those below 1e-7 drawn there)", xscale="log", yscale="log")
    axes.legend()
    save(figure, os.path.join(folder, "sizes.png"), [Origin(runs, folder)])


def paper_model(model, folder, results):
    fits = [r for r in results if r.task == "fit"]
    best = min(best_known(fits), closed_form(results).get("F-VI", math.inf))
    target = 1.01 * best
    loss_table(model, folder, results, target)
    if any(not r.without_noise for r in fits):
        draw_traces(model, folder, results, target, best)
    if any(r.function == "mlp" for r in fits):
        draw_widths(model, folder, results, best)
    if model == "linear":
        draw_sizes(folder, results)


# ---- hidden Markov model -----------------------------------------------------------------------------------------------------


def hmm(model, folder, results):
    exact = [r for r in results if r.task == "exact" and r.exact]
    fits = [r for r in results if r.task == "fit"]
    optimum = exact[0].exact["elbo"] if exact else max(r.elbo for r in fits if r.method == "F-VI")
    closed = {r.domain: r.exact["elbo_degree_1"] for r in exact}
    rows = []
    for name in methods_of(fits):
        values = [r.elbo for r in fits if r.method == name]
        domain = next(r.domain for r in fits if r.method == name)
        limit = {"F-VI": optimum, "constant": exact[0].exact["elbo_constant"] if exact else None}.get(name, closed.get(domain) if "degree 1" in name else None)
        rows.append([name, str(len(values)), max(values), optimum - max(values), limit])
    evidence = [exact[0].exact["log_evidence"]] if exact else []
    write_table(folder, "hmm: ELBO in nats, all rows", {"method": None, "seeds": None, "best ELBO": 4, "gap to F-VI": 4, "closed form": 4}, rows,
                [f"F-VI optimum {optimum:.4f}" + (f", log p(x) {evidence[0]:.4f}" if evidence else "")
                 + ". closed form: the least-squares solution of task = exact. The gap is above 0 for every inference function (Margossian & Blei, section 3.3).", made(results)])
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.6), gridspec_kw={"width_ratios": [5, 6, 3]})
    draw_windows(left, fits, closed, optimum)
    draw_chain(middle, results)
    draw_equal(right)
    save(figure, os.path.join(folder, "hmm.png"), [Origin(results, folder)])


def draw_windows(axes, fits, closed, optimum):
    for function, label, colour in (("polynomial", "affine, fitted", COLOURS[0]), ("mlp", "network, best seed", COLOURS[1])):
        runs = [r for r in fits if r.function == function]
        best = {}
        for r in runs:
            best[r.domain] = max(best.get(r.domain, -math.inf), r.elbo)
        points = sorted((rows_seen(d), optimum - e) for d, e in best.items())
        if points:
            axes.plot(*zip(*points), "o-", color=colour, label=label, markersize=4)
    points = sorted((rows_seen(d), optimum - e) for d, e in closed.items())
    if points:
        axes.plot(*zip(*points), "k+", markersize=9, label="affine, least squares")
    axes.set(title="Gap to F-VI against the window", xlabel="rows that f sees", ylabel="nats", xscale="log", yscale="log")
    ticks = [1, 2, 3, 5, 9, 17, 33]
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.minorticks_off()
    axes.legend(fontsize=8)


def draw_chain(axes, results, rows=60):
    """nu* along the chain, and what functions of a window make of it."""
    best = next((r.exact_mean for r in results if r.exact_mean is not None), None)
    if best is None:
        best = next(r.mean for r in results if r.method == "F-VI")
    for name, colour in (("self, degree 1", COLOURS[1]), ("window:2, degree 1", COLOURS[2])):
        mean = next((r.mean for r in results if r.method == name and r.mean is not None), None)
        if mean is not None:
            axes.plot(np.arange(1, rows + 1), mean[:rows], color=colour, linewidth=1, label=name.replace(", degree 1", ", affine"))
    axes.plot(np.arange(1, rows + 1), best[:rows], "k.", markersize=4, label="nu*, F-VI optimum")
    axes.set(title="Means along the chain", xlabel="n", ylabel="mean of q(z_n)")
    axes.legend(fontsize=7, loc="lower left")


def draw_equal(axes, rows=40):
    """When all x_n are equal the optimal means still differ along the chain: no function of x_n, nor of any window inside, can be right everywhere."""
    axes.plot(np.arange(1, rows + 1), paper_loss.Hmm(np.ones(rows)).mean, "k.", markersize=4)
    axes.set(title="nu* when every x_n = 1", xlabel="n", ylabel="mean of q(z_n)")


# ---- Bayesian VAE ------------------------------------------------------------------------------------------------------------


def arrival(r, bound):
    """Epochs until the error is below the bound, in words: of one seed."""
    epochs = r.epochs_to(bound)
    if math.isfinite(epochs):
        return f"{epochs:.0f}"
    return f"not within {r.epochs:.0f}" + ("" if r.status == "done" else f" ({r.status})")


def spread(runs, bound, budget=5000):
    """Fewest and most epochs; "never" takes the paper's budget, and nothing is said of runs that have not had it."""
    epochs = [r.epochs_to(bound) for r in runs]
    early = any(math.isinf(e) and r.epochs < budget for e, r in zip(epochs, runs))
    fewest = min(epochs, default=math.nan)
    return math.nan if early and math.isinf(fewest) else fewest, math.nan if early else max(epochs, default=math.nan)


def vae_row(name, runs, bounds):
    paper = PAPER["vae"].get(name.removesuffix(NOTEBOOK), {}).get("epochs", math.nan)
    told = ["; ".join(f"{r.seed}: {arrival(r, bound)}" for r in runs) for bound in bounds]
    return [name, *told, *spread(runs, bounds[-1]), *(paper if isinstance(paper, list) else [math.inf if paper is None else paper] * 2),
            min((r.eval["mse_train"].min() for r in runs), default=math.nan), max((r.eval["elbo_train"][-1] for r in runs), default=math.nan)]


def vae_table(folder, results, names, bounds):
    rows = [vae_row(name, [r for r in results if r.method == name], bounds) for name in names]
    finest = max(np.diff(r.eval["step"]).max(initial=0) / r.epoch_steps for r in results)
    columns = {"method": None, **{f"seed: epochs to {bound}": None for bound in bounds}, "fewest": 0, "most": 0, "paper, fewest": 0, "paper, most": 0, "lowest error": 4,
               "last ELBO, nats per row": 1}
    write_table(folder, f"vae: epochs until the reconstruction's mean squared error is below {bounds[-1]}, and below others on the way", columns, rows,
                [f"Mean squared error of a pixel of E[x | z, theta] at the means of q(z_n) and q(theta), over all {results[0].rows} training images; looked at every "
                 f"{number(finest, 0)} epochs. A constant can at best give the mean image: 0.0673 on the first 10000 of MNIST, 0.0868 on FashionMNIST.",
                 "fewest, most: over seeds, to the last of these errors; empty where runs have not had 5000 epochs. never: not within 5000.",
                 "The paper's numbers are for FashionMNIST, 10 seeds, at most 5000 epochs. They are those of its notebook, whose log q takes the standard deviation for the variance: "
                 "the rows to compare with them end in \"notebook\" (objective.entropy = notebook), the others maximise the ELBO. The last column is the ELBO in both.", made(results)])


def vae_figure(folder, results, names, bounds):
    colours = colour_of(names)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.9))
    for name in names:
        for k, r in enumerate(r for r in results if r.method == name):
            left.plot(r.eval["step"] / r.epoch_steps, r.eval["mse_train"], color=colours[name], linewidth=1, label=name if k == 0 else None)
    last = max(r.epochs for r in results)
    for level in bounds:
        left.axhline(level, color="#666666", linewidth=0.8, linestyle=":")
    bound = bounds[-1]
    left.set(title="Reconstruction of the training images", xlabel="epoch", ylabel="mean squared error of a pixel", yscale="log")
    ticks = [0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.2, 0.4]
    left.set_yticks(ticks, [str(t) for t in ticks])
    left.minorticks_off()
    left.set_ylim(0.02, 0.5)
    left.legend(fontsize=8)
    paper = {n: PAPER["vae"][n.removesuffix(NOTEBOOK)]["epochs"] for n in names if n.removesuffix(NOTEBOOK) in PAPER["vae"]}
    highest = max([last, *(e for n in names for e in paper.get(n) or [])])
    right.set(title=f"Epochs to an error of {bound}", ylabel="epochs", ylim=(0, 1.08 * highest))
    box(right, [[r.epochs_to(bound) for r in results if r.method == n] for n in names], [n.replace(", ", ",\n") for n in names], [colours[n] for n in names], 1.05 * highest,
        "never" if all(r.epochs >= 5000 for r in results if math.isinf(r.epochs_to(bound))) else "not yet")
    paper_marks(right, names, paper)
    save(figure, os.path.join(folder, "vae.png"), [Origin(results, folder)])


def vae(model, folder, results, bounds=(0.05, 0.04, 0.03)):
    """Runs may have been made in several sittings, and some may still have epochs to go."""
    results = sorted((r for r in results if len(r.eval.get("mse_train", ()))), key=lambda r: int(r.seed))
    if not results:
        raise RunError(f"{folder}: no evaluation yet; the first comes after ten epochs", 66)
    names = methods_of(results)
    vae_figure(folder, results, names, bounds)
    vae_table(folder, results, names, bounds)


MODELS = {"linear": paper_model, "nonlinear": paper_model, "saw": paper_model, "hmm": hmm, "vae": vae}


def main():
    parser = argparse.ArgumentParser(description="Tables and figures of the runs of jobs/paper.sh.")
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("folder", help="runs/paper/MODEL")
    parser.add_argument("--record", metavar="FOLDER", help="where MODEL.md and MODEL.csv go, the table and its runs; of methods without runs in this folder they keep what they have")
    arguments = parser.parse_args()
    results = load(arguments.folder)
    MODELS[arguments.model](arguments.model, arguments.folder, results)
    write_runs(arguments.folder, results, {"mse": lambda r: f"{r.eval['mse_train'][-1]:.6f}" if len(r.eval.get("mse_train", ())) else ""})
    if arguments.record:
        record(arguments.model, arguments.folder, arguments.record)


as_script(main)
