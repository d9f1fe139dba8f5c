"""Sums of row values in single precision: what all rows share (constants, the sd of the noise and of q, points and weights of a quadrature) carries no rounding that adds up over
rows. The program's ELBO is held against the closed form that numpy works out in double from the floats that the run wrote, and against the same run in double.

    precision.py [row_values] [both_precisions] [registry] [many_rows]"""
import json
import os
import subprocess
import sys

import numpy

from small import SIGMA, TAU, data, elbo, write
from runs import Failure, empty_ini, fit, has_images, main, models, read, small_data

COMMON = ["log.every=1", "log.eval_every=-1", "checkpoint.resume=no"]


def off(found, wanted):
    return abs(found - wanted) / abs(wanted)


def row_values(scratch):
    """Linear: F-VI to 1e-11 relative, in evaluation and trace, on 1 and 3 ranks, fast and reproducible."""
    x = data(20011).astype(numpy.float32)
    source = ["model.name=linear", f"model.tau={TAU}", f"model.sigma={SIGMA}", "model.prior_sd=2", "data.source=hdf5", "data.dataset=x", f"data.path={write(scratch / 'x.h5', x)}"]
    worst = 0.0
    for np, reproducible, function in ((None, "no", "factorized"), (3, "yes", "factorized"), (3, "no", "constant")):
        run = fit(scratch / "run", *source, *COMMON, "run.precision=single", "objective.draws=0", f"inference.function={function}", "optim.batch=0",
                  "optim.learning_rate=0.05", "optim.steps=3", f"run.reproducible={reproducible}", np=np, ini=empty_ini(scratch))
        t = float(read(run, "/global/theta/mean").ravel()[0])
        if function == "factorized":
            nu = numpy.column_stack([read(run, "/local/mean").ravel(), read(run, "/local/log_sd").ravel()]).astype(float)
        else:
            nu = read(run, "/inference/constant").astype(float).ravel()
        wanted = elbo(x.astype(float), t, None, nu)
        found = float(read(run, "/eval/elbo_train")[-1]) * len(x)
        worst = max(worst, off(found, wanted))
        if not worst < 1e-11:
            raise Failure(f"{function}, {np or 1} ranks, reproducible = {reproducible}: {found:.6f} nats, closed form {wanted:.6f}: {worst:.1e} off")
    far = (1e5 + 1e3 * data(20011)).astype(numpy.float32)  # sds of theta there are a tenth of what floats tell apart
    run = fit(scratch / "run", *source[:-1], f"data.path={write(scratch / 'far.h5', far)}", *COMMON, "run.precision=single", "model.global=gaussian", "objective.draws=0", "optim.batch=0",
              "inference.function=constant", "optim.method=lbfgs", "optim.steps=2", ini=empty_ini(scratch))
    t, k = (float(read(run, f"/global/theta/{name}").ravel()[0]) for name in ("mean", "sd"))
    wanted = elbo(far.astype(float), t, numpy.log(k), read(run, "/inference/constant").astype(float).ravel())
    found = float(read(run, "/eval/elbo_train")[-1]) * len(far)
    if not abs(found - wanted) < 0.02:  # 0.04 with points of theta as floats
        raise Failure(f"values about 1e5, q(theta) with sd {k:.2g}: {found:.4f} nats, closed form {wanted:.4f}")
    return f"20011 rows: within {worst:.1e} of the closed form, about 1e5 with sd {k:.1g} of theta {abs(found - wanted):.1e} nats"


CASES = {
    "linear, draws": (["model.name=linear", "inference.function=polynomial", "objective.draws=10"], 1e-9),
    "linear, sampled KL": (["model.name=linear", "inference.function=polynomial", "objective.draws=3", "objective.kl=sampled"], 1e-9),
    "linear, sticking the landing": (["model.name=linear", "inference.function=polynomial", "objective.draws=3", "objective.estimator=stl"], 1e-9),
    "saw": (["model.name=saw", "inference.function=polynomial", "inference.domain=next", "objective.draws=0"], 1e-9),
    "hmm": (["model.name=hmm", "inference.function=polynomial", "inference.domain=window:1", "inference.degree=1", "objective.draws=0"], 1e-9),
    "gp": (["model.name=gp", "data.rows=300", "inference.function=factorized", "objective.draws=0"], 3e-9),
    "nonlinear": (["model.name=nonlinear", "inference.function=polynomial", "objective.draws=100"], 5e-8),
    "ppca": (["model.name=ppca", "model.latent=3", "inference.function=polynomial", "inference.degree=1", "objective.draws=0"], 2e-9),
}


def both_precisions(scratch):
    """The first step and the evaluation in single and in double, at the same parameters and draws."""
    told = []
    for name, (arguments, bound) in CASES.items():
        rows = [] if any(a.startswith("data.rows") for a in arguments) else ["data.rows=30000"]
        single, double = (fit(scratch / precision, *arguments, *rows, *COMMON, "data.source=model", f"run.precision={precision}", "optim.batch=0", "optim.steps=1",
                              "optim.learning_rate=0", ini=empty_ini(scratch)) for precision in ("single", "double"))
        worst = max(off(float(read(single, f)[-1]), float(read(double, f)[-1])) for f in ("/trace/elbo", "/eval/elbo_train"))
        if not worst < bound:
            raise Failure(f"{name}: single and double differ by {worst:.1e} of the ELBO, at most {bound:.0e}")
        told.append(f"{name} {worst:.0e}")
    return "; ".join(told)


# Relative to the ELBO, over 20000 rows (images: 2000). Models without a line: 1e-9.
BOUNDS = {
    "nonlinear": 3e-8,  # sin, cos and exp of every draw are taken in float, whose polynomials are off by 1e-8 in the mean over z
    "hier_logistic": 2e-8,  # softplus of every trial in float, as above
    "hmm": 1e-8,  # of several dimensions: A, C and the logarithms of Q and R are floats, a model within 6e-8 of the one given; of one dimension 1e-9
}


def digits(name, *arguments, spread=0.1):
    """Sums of row values in single and in double, at the same float parameters, rows and points or draws: the larger relative difference of an evaluation and of a step."""
    tool = os.path.join(os.environ["AVI_BUILD_DIR"], "tests", "digits")
    done = subprocess.run([tool, str(spread), *arguments, "optim.batch=0", "data.test_rows=0"], capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"{name}: {done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    return max(abs(found["difference"] / found["elbo"]), abs(found["step_difference"] / found["step"]))


def registry(scratch):
    """Every registered model, with factors of their own and with those of a function; values far from 0 too."""
    told = []
    for name, table in models().items():
        rows = 2000 if has_images(name) else 300 if table["coupling"] == "dense" else 20000
        worst = 0.0
        for function in ("factorized", "polynomial"):
            # Models that are no polynomials take few points, since tests are to be quick.
            given = [*small_data(name), f"data.rows={rows}", f"inference.function={function}", "objective.draws=0", "objective.points=8", "inference.degree=1"]
            worst = max(worst, digits(f"{name}, {function}", *given))
        if not worst < BOUNDS.get(name, 1e-9):
            raise Failure(f"{name}: single and double differ by {worst:.1e} of the ELBO, at most {BOUNDS.get(name, 1e-9):.0e}")
        told.append(f"{name} {worst:.0e}")
    for name in ("linear", "nonlinear"):
        far = digits(f"{name}, far from 0", f"model.name={name}", "data.source=model", "data.rows=20000", "model.simulate_theta=1000", "model.start=mean", "inference.function=factorized",
                     "objective.draws=0", "objective.points=8")
        if not far < BOUNDS.get(name, 1e-9):
            raise Failure(f"{name}, far from 0: single and double differ by {far:.1e} of the ELBO")
        told.append(f"{name} at 1000 {far:.0e}")
    return "; ".join(told)


def many_rows(scratch):
    """1e7 rows of linear: a fit in single precision ends within 0.01 nats of the closed form, and below log p(x)."""
    told = []
    for function in ("polynomial", "factorized"):
        run = fit(scratch / function, "model.name=linear", "model.global=gaussian", "data.source=model", "data.rows=10000000", "data.storage=memory", *COMMON, "run.precision=single",
                  "objective.draws=0", "optim.method=lbfgs", "optim.batch=0", "optim.steps=60", f"inference.function={function}", "run.after=exact", ini=empty_ini(scratch), limit=1500)
        found = {"evaluation": float(read(run, "/eval/elbo_train")[-1]) * 1e7, "trace": float(read(run, "/trace/elbo")[-1])}
        best, log_p = float(read(run, "/exact/elbo")), float(read(run, "/exact/log_evidence"))
        for what, value in found.items():
            if not abs(value - best) < 0.01 or value > log_p:
                raise Failure(f"{function}, {what}: {value - best:+.4f} nats from the closed form, {value - log_p:+.4f} from log p(x)")
        told.append(f"{function}: {found['evaluation'] - best:+.4f} nats from the closed form, {found['evaluation'] - log_p:+.4f} from log p(x)")
    return "; ".join(told)


if __name__ == "__main__":
    main(*([row_values, both_precisions, registry] if len(sys.argv) < 2 else [row_values, both_precisions, registry, many_rows]))
