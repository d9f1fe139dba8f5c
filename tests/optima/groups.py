"""hier_logistic without draws and with a Gaussian q(theta): the optimum of tests/reference/hier_logistic_meanfield.py, which numpy found by quadrature of its own; bits of ranks."""
import json
import pathlib

import h5py

from runs import Failure, empty_ini, fit, main, read, start

REFERENCE = pathlib.Path(__file__).resolve().parents[1] / "reference"
GIVEN = ["model.name=hier_logistic", "data.source=hdf5", f"data.path={REFERENCE / 'hier_logistic.h5'}", "data.dataset=x", "model.trials=60", "model.covariates=1",
         "model.global=gaussian", "objective.draws=0", "optim.method=lbfgs", "optim.batch=0", "run.precision=double", "inference.function=factorized", "log.eval_every=-1"]


def expected(scratch):
    stored, worst = json.loads((REFERENCE / "hier_logistic.json").read_text())["mean_field"], 0
    run = fit(scratch / "run", *GIVEN, "objective.points=16", "optim.steps=100", ini=empty_ini(scratch))
    for name, values in stored.items():
        for what, value in values.items():
            worst = max(worst, abs(read(run, f"/global/{name}/{what}").ravel()[0] - value))
    if not worst < 1e-7:
        raise Failure(f"q(theta) is {worst:.1e} from the optimum that numpy found")
    bits = []
    for np in (None, 3):
        run = fit(scratch / f"run{np}", *GIVEN, "objective.points=4", "optim.steps=3", "run.reproducible=yes", np=np, ini=empty_ini(scratch))
        with h5py.File(run / "run.h5") as file:
            bits.append([file[f"/global/{name}/{what}"][()].tobytes() for name in stored for what in ("mean", "sd")])
    if bits[0] != bits[1]:
        raise Failure("3 ranks end with other bits of q(theta) than 1")
    text = start(None, [empty_ini(scratch), *GIVEN, "objective.estimator=stl", f"run.output={scratch / 'no'}"], expect=(78,))
    if "use objective.estimator = pathwise" not in text:
        raise Failure(f"refusal: {text}")
    return f"q(theta) within {worst:.1e} of the optimum"


if __name__ == "__main__":
    main(expected)
