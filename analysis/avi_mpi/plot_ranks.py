"""plot.ranks: how the work is spread over ranks."""

import numpy

from .comparing import runs_of
from .errors import NotFound
from .style import COLOURS, finish, new, save, styled

MOST_BARS = 64


@styled
def ranks(run, *, path=None):
    """Milliseconds of a step on each rank, and how they changed over the fit.

    From run.trace["seconds_rank"] (logged steps, ranks), waiting for the other ranks included. Bars are medians over
    the logged steps, their lines reach from the lower to the upper quartile. Returns a Figure; `path` writes it too.
    NotFound where no step was logged.
    """
    run = runs_of(run)[0]
    step = run.trace["step"].ravel()
    if len(step) == 0:
        raise NotFound(f"{run.path}: no step was logged")
    time = 1000 * numpy.asarray(run.trace["seconds_rank"], dtype=float).reshape(len(step), -1)
    number = time.shape[1]
    picture = new(9, 3.6)
    left, right = picture.subplots(1, 2)
    low, middle, high = numpy.percentile(time, [25, 50, 75], axis=0)
    if number <= MOST_BARS:
        left.bar(numpy.arange(number), middle, yerr=[middle - low, high - middle], color=COLOURS[0], width=0.8 if number > 2 else 0.5, error_kw={"elinewidth": 1, "ecolor": "#444444"})
        left.set_xlim(-0.5 - (number < 3), number - 0.5 + (number < 3))
    else:
        left.fill_between(numpy.arange(number), low, high, color=COLOURS[0], alpha=0.25, linewidth=0)
        left.plot(numpy.arange(number), middle, color=COLOURS[0])
    if number <= 16:
        left.set_xticks(range(number))
    else:
        left.xaxis.get_major_locator().set_params(integer=True)
    left.set(title="Time of a step on each rank", xlabel="rank", ylabel="time (milliseconds)", ylim=(0, None))
    left.grid(axis="x", visible=False)
    slowest, fastest = time.max(axis=1), time.min(axis=1)
    right.fill_between(step, fastest, slowest, color=COLOURS[0], alpha=0.25, linewidth=0, label="fastest to slowest rank")
    right.plot(step, numpy.median(time, axis=1), color=COLOURS[0], label="median of the ranks")
    top = numpy.percentile(slowest, 98) * 1.25
    if top > 0:
        right.set_ylim(0, top)
    right.set(title="Over the fit", xlabel="step", ylabel="time (milliseconds)")
    right.legend(fontsize=8, loc="upper right")
    finish(picture, [run], f"Time of a step on {number} ranks, waiting for the others included: medians over the logged steps with quartiles.")
    if path:
        save(picture, path)
    return picture
