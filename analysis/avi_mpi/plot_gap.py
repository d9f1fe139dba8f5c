"""plot.gap: what amortization costs every row."""

import numpy

from .comparing import runs_of
from .errors import NotFound
from .style import COLOURS, finish, new, save, styled

SETS = (("train", "training"), ("test", "held-out"))
MOST_DOTS = 5000


def draw_sorted(axes, run):
    """The gap of every row, the largest first, with two Monte Carlo standard errors. False where there is none."""
    drawn = False
    for number, (one, words) in enumerate(SETS):
        group = run.group(f"/gap/{one}")
        if not group:
            continue
        gap_, error = group["amortization_gap"], group["amortization_gap_error"]
        order = numpy.argsort(-numpy.where(numpy.isfinite(gap_), gap_, -numpy.inf))
        order = order[numpy.isfinite(gap_[order])]
        if not len(order):
            continue
        x = 100 * (numpy.arange(len(order)) + 0.5) / len(order)
        if numpy.any(error[order] > 0):
            axes.fill_between(x, gap_[order] - 2 * error[order], gap_[order] + 2 * error[order], color=COLOURS[number], alpha=0.2, linewidth=0)
        axes.plot(x, gap_[order], color=COLOURS[number], label=f"{words} rows, mean {gap_[order].mean():.4g}")
        drawn = True
    axes.set(xlabel="rows, the largest gap first (%)", ylabel="amortization gap (nats)")
    if drawn:
        axes.legend(fontsize=8)
    return drawn


def draw_against(axes, run):
    """A-VI against F-VI, row by row. False where there is none."""
    values = []
    for number, (one, words) in enumerate(SETS):
        group = run.group(f"/gap/{one}")
        if group:
            avi, fvi = group["elbo_avi"], group["elbo_fvi"]
            step = max(1, len(avi) // MOST_DOTS)
            axes.plot(fvi[::step], avi[::step], ".", color=COLOURS[number], markersize=3, alpha=0.5, label=f"{words} rows")
            values.append(fvi[::step][numpy.isfinite(fvi[::step])])
    values = numpy.concatenate(values) if values else numpy.empty(0)
    if not len(values):
        return False
    axes.plot([values.min(), values.max()], [values.min(), values.max()], color="#666666", linewidth=0.8, label="no gap")
    axes.set(xlabel="ELBO with its own factor (nats)", ylabel="ELBO with the function's (nats)")
    axes.legend(fontsize=8, markerscale=3)
    return True


@styled
def gap(run, *, path=None):
    """What amortization costs: the gap of every row (nats), sorted, and the ELBO with the function's factor against that with a factor of the row's own.

    Bands are two Monte Carlo standard errors. Returns a Figure; `path` writes it too. NotFound where the run has no
    ledger (run__after="gap" makes it).
    """
    run = runs_of(run)[0]
    picture = new(9, 3.8)
    left, right = picture.subplots(1, 2)
    if not draw_sorted(left, run) or not draw_against(right, run):
        raise NotFound(f"{run.path}: this run has no ledger of gaps in /gap (set run.after = gap)")
    left.set_title("Amortization gap of each row")
    right.set_title("Amortized against factorized")
    finish(picture, [run], "What the inference function costs each row against a factor of its own, with two Monte Carlo standard errors; on the line it costs nothing.")
    if path:
        save(picture, path)
    return picture
