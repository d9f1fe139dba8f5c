"""--check-gradient in double precision, over the registry: model x inference function x family x estimator x KL, at several draws and ranks.

One run checks one combination; the short form takes a third of model x function x family, in which all pairs of them meet, with the other choices in turn;
--long takes the full product."""
import itertools
import re
import sys

from runs import Failure, empty_ini, main, refusal, registered, small_data, small_function, start, with_groups

SHAPE = ["data.rows=24", "data.test_rows=0", "optim.tile=2", "run.precision=double", "objective.points=3"]
BOUND = 1e-5
LONG = "--long" in sys.argv
CHOICES = {"objective.estimator": ("pathwise", "stl", "dreg"), "objective.kl": ("analytic", "sampled"), "objective.draws": (1, 3, 0),
           "model.global": ("point", "gaussian", "gaussian_full", "gaussian_lowrank"), "np": (None, 3), "objective.name": None}
# What cannot be combined, and says so: words of the message.
MEANT = ("which family .* does not give", "does not have; use 1 or more", "rows of model .* depend on each other", "rows of model .* are no chain", "for a point theta", "needs draws",
         "without its score term is biased", "and the objective is elbo", "which differences cannot check",
         "closed form, which is there for independent dimensions", "plain values, of which none is beside another")


def turns(number):
    """Choices that change from one combination to the next so that each pair of them meets."""
    strides = {"objective.name": 11, "objective.estimator": 3, "objective.kl": 2, "objective.draws": 1, "model.global": 5, "np": 7}
    return {key: values[number // strides[key] % len(values)] for key, values in CHOICES.items()}


def choices(number):
    if LONG:
        return [dict(zip(CHOICES, values)) for values in itertools.product(*CHOICES.values())]
    return [turns(number)]


def check(ini, model, function, family, chosen):
    """Largest error, or the reason for which the combination is refused."""
    np, settings = chosen["np"], [f"{key}={value}" for key, value in chosen.items() if key != "np"]
    arguments = [ini, "--check-gradient", *small_data(model), *small_function(function, model), f"inference.family={family}", *SHAPE, *settings]
    for batch in (12, 0):  # dense coupling takes all rows
        text = start(np, [*arguments, f"optim.batch={batch}"], expect=(0, 78, 70))
        if "optim] batch" not in (refusal(text) or ""):
            break
    found = re.search(r"largest relative error (\S+)", text)
    if not found:
        return None, refusal(text) or text[-500:]
    worst = float(found.group(1))
    if not worst <= BOUND:
        lines = [line for line in text.splitlines() if float((re.findall(r" error (\S+e\S+)$", line) or ["0"])[0]) > BOUND]
        raise Failure(f"np={np or 1} {' '.join(map(str, arguments[1:]))}: relative error {worst:.1e}\n" + "\n".join(lines[:6]))
    return worst, None


def registry(scratch):
    CHOICES["objective.name"] = tuple(registered("objectives"))
    ini, wrong, apart, worst, count = empty_ini(scratch), [], {}, 0.0, 0
    combinations = itertools.product(*(enumerate(names) for names in (with_groups(registered("models")), registered("inference functions"), registered("variational families"))))
    for number, ((m, model), (f, function), (k, family)) in enumerate(combinations):
        if not LONG and (m + f + k) % 3:
            continue
        for chosen in choices(number):
            count += 1
            try:
                error, reason = check(ini, model, function, family, chosen)
            except Failure as failure:
                wrong.append(str(failure))
                continue
            worst = max(worst, error or 0)
            if reason:
                # Expectations without draws are for few dimensions or quadratic models: everything else must combine.
                if chosen["objective.draws"] and not any(re.search(words, reason) for words in MEANT):
                    wrong.append(f"{model} x {function} x {family} {chosen}: refused: {reason}")
                apart.setdefault(reason, []).append(model)
    if wrong:
        raise Failure(f"{len(wrong)} of {count}\n" + "\n".join(wrong))
    told = [f"refused {len(models)} times: {reason}" for reason, models in apart.items()]
    return "\n          ".join([f"{count} combinations, largest relative error {worst:.1e} (bound {BOUND:.0e})", *told])


def seen(scratch):
    """Functions that see theta: the gradient by the means or the draws goes through them as well."""
    ini, apart, worst, count = empty_ini(scratch), [], 0.0, 0
    forms = CHOICES["model.global"]
    for number, (model, view) in enumerate(itertools.product(with_groups(registered("models")), ("mean", "draw"))):
        for k in range(len(forms) if LONG else 2):
            chosen = {"inference.theta": view, "model.global": forms[(number // 2 + 2 * k + k // 2 + 1) % 4], "objective.draws": (3, 1)[k % 2],
                      "objective.estimator": ("stl", "pathwise")[(number + k) % 2], "np": (None, 3)[k % 2]}
            error, reason = check(ini, model, ("mlp", "polynomial", "semi")[(number + k) % 3], "gaussian", chosen)
            if reason and not re.search("theta = .*use no$|rows of model .* depend on each other", reason):
                raise Failure(f"{model} {chosen}: refused: {reason}")
            count += not reason
            worst = max(worst, error or 0)
            if reason:
                apart.append(model)
    if 2 * len(apart) > count:
        raise Failure(f"{len(apart)} refused, of models {sorted(set(apart))}")
    return f"{count} combinations, largest relative error {worst:.1e}; models without theta, or with too many values: {', '.join(sorted(set(apart)))}"


def through(scratch):
    """Functions with steps behind them, whose gradient goes through the steps: to the function, to theta and to what a family shares."""
    ini, worst, count = empty_ini(scratch), 0.0, 0
    for number, model in enumerate(with_groups(registered("models"))):
        for k, family in enumerate(registered("variational families")):
            chosen = {"inference.refine_gradient": "full", "inference.refine_draws": (2, 3)[k % 2], "model.global": CHOICES["model.global"][(number + k) % 4],
                      "objective.draws": (1, 3)[(number + k) % 2], "inference.theta": ("no", "mean", "draw")[(number + k) % 3 if model == "linear" else 0],
                      "objective.estimator": ("pathwise", "stl")[(number + k // 2) % 2], "np": (None, 3)[k % 2]}
            if family == "flow":
                chosen["inference.flow_parameters"] = "shared"
            if not LONG and (number + k) % 2:
                continue
            error, reason = check(ini, model, "semi", family, chosen)
            if reason and not any(re.search(words, reason) for words in MEANT):
                raise Failure(f"{model} {family} {chosen}: refused: {reason}")
            count += not reason
            worst = max(worst, error or 0)
    if count < 10:
        raise Failure(f"{count} combinations alone")
    return f"{count} combinations, largest relative error {worst:.1e}"


if __name__ == "__main__":
    sys.argv = [a for a in sys.argv if a != "--long"]
    main(registry, seen, through)
