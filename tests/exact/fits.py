"""Fits held against the exact answer of the same run (run.after = exact), and what the program refuses.

    fits.py [NAME ...]      all, or those named: linear saw hmm ppca precision task kept refusals
Expectations are exact in these runs (objective.draws = 0) and the optimizer is L-BFGS, so a fit must come to the closed form itself."""
import h5py
import numpy as np

from program import Failure, PAPER, check, close, main, read, refused, run

EXACT = ["objective.draws=0", "run.precision=double", "optim.method=lbfgs", "optim.batch=0", "optim.schedule=constant", "log.every=1000000", "log.eval_every=-1",
         "log.progress=none", "run.after=exact", "-q", "--fresh"]


def fit(folder, np_, ini, *settings, steps=400):
    """/exact of a fit, and `evaluated`: its last evaluation in nats of the whole data set."""
    run(np_, PAPER / ini, *EXACT, f"optim.steps={steps}", f"run.output={folder}/run", *settings)
    answer = read(folder / "run" / "run.h5")
    with h5py.File(folder / "run" / "run.h5") as file:
        answer["evaluated"] = file["eval/elbo_train"][-1] * len(answer["mean"])
        answer["local"] = file["local/mean"][:] if "local" in file else None
        if file.attrs["status"] not in ("done", b"done"):
            raise Failure(f"status {file.attrs['status']}")
    close("ELBO of the fit, evaluated", answer["evaluated"], answer["elbo_fit"], 1e-8 * (1 + abs(answer["elbo_fit"])))
    return answer


def linear(folder):
    told = []
    for np_, function, name in ((1, ["factorized"], None), (2, ["polynomial"], "degree_1"), (1, ["polynomial", "inference.degree=2"], "degree_2"), (3, ["constant"], "constant")):
        got = fit(folder, np_, "linear.ini", "data.rows=300", "model.simulate_theta=2", f"inference.function={function[0]}", *function[1:])
        told.append(close(f"linear, {function[0]}: gap", got["gap_fit"], got[f"gap_{name}"] if name else 0, 1e-6))
    return told


def saw(folder):
    told = []
    for np_, function, domain, name in ((2, "factorized", "next", None), (1, "polynomial", "next", "degree_1"), (1, "polynomial", "ahead", "degree_1"),
                                        (1, "constant", "next", "constant")):
        got = fit(folder, np_, "saw.ini", f"inference.function={function}", f"inference.domain={domain}")
        told.append(close(f"{function}, {domain}: loss", got["loss_fit"], got[f"loss_{name}" if name else "loss"], 1e-6))
    return told


def hmm(folder):
    """F-VI is the closed form; A-VI stays below it for every domain, rises with the window, and is the best of its class."""
    got = fit(folder, 2, "hmm.ini", "data.rows=200", "inference.function=factorized")
    check("means of F-VI", got["local"], got["mean"], 1e-8)
    told = [close("F-VI: gap", got["gap_fit"], 0, 1e-8)]
    best, before = got["elbo"], -np.inf
    for domain in ("self", "next", "window:1", "window:2", "window:4"):
        got = fit(folder, 1, "hmm.ini", "data.rows=200", f"inference.domain={domain}")
        if not before < got["evaluated"] < best:
            raise Failure(f"domain {domain}: ELBO {got['evaluated']:.8f} is not between that of the domain before, {before:.8f}, and F-VI's, {best:.8f}")
        before = got["evaluated"]
        told.append(close(f"{domain}: gap", got["gap_fit"], got["gap_degree_1"], 1e-6))
    got = fit(folder, 1, "hmm.ini", "data.rows=200", "inference.domain=next", "inference.degree=2", steps=2000)
    told.append(close("next, degree 2: gap", got["gap_fit"], got["gap_degree_2"], 1e-5))
    return told


def ppca(folder):
    """A linear VAE comes to the maximum of the likelihood (Lucas et al. 2019)."""
    told = []
    small = ["data.source=model", "data.rows=400", "model.simulate_width=8", "model.latent=3", "model.noise_sd=0.5"]
    for function in ("mlp", "factorized"):
        got = fit(folder, 2, "ppca.ini", *small, f"inference.function={function}", steps=600)
        told.append(close(f"{function}: gap a row", got["gap_fit"] / 400, 0, 1e-5))
    got = fit(folder, 1, "ppca.ini", *small, "inference.function=constant", steps=600)
    close("constant: gap a row", got["gap_fit"] / 400, got["gap_constant"] / 400, 1e-5)
    return told


def precision(folder):
    """In single precision and with draws the fit is off, and the closed form says by how much."""
    settings = ["run.after=exact", "-q", "--fresh", "data.rows=500", "optim.steps=60", "model.global_log_sd=0", "objective.draws=10", "log.eval_every=-1", f"run.output={folder}/run"]
    run(2, PAPER / "linear.ini", *settings, "inference.function=factorized")
    got = read(folder / "run" / "run.h5")
    with h5py.File(folder / "run" / "run.h5") as file:
        mean, log_sd, theta, sd = (file[name][()].astype(float) for name in ("local/mean", "local/log_sd", "global/theta/mean", "global/theta/sd"))
    p = (2.43 ** 2 + 1.155 ** 2) / 2.43 ** 2
    apart, shift = mean - got["mean"], theta.item() - got["theta_mean"]
    excess = [0.5 * (a - 1 - np.log(a)) for a in (p * np.exp(2 * log_sd), (sd / got["theta_sd"]) ** 2)]
    gap = 0.5 * (apart ** 2).sum() + 0.5 * ((1.155 * apart + shift) ** 2).sum() / 2.43 ** 2 + excess[0].sum() + excess[1].sum()
    if not got["gap_fit"] > 1e-3:
        raise Failure(f"gap {got['gap_fit']}: the fit should not be there yet")
    return [close("gap of an unfinished fit", got["gap_fit"], gap, 1e-5 * gap)]


def task(folder):
    """Task exact after a fit keeps the results of the fit and how it ended; after another fit it says that it is another; it does not replace a fit."""
    settings = [PAPER / "hmm.ini", "data.rows=50", "objective.draws=0", "optim.steps=300", "optim.method=lbfgs", f"run.output={folder}/run"]
    run(2, *settings, "-q")
    with h5py.File(folder / "run" / "run.h5") as file:
        before = [file.attrs["status"], file.attrs["why_stopped"]]
    if before[1] not in ("converged", b"converged"):
        raise Failure(f"the fit ended as {before}: it should converge within its steps")
    text = run(1, *settings, "run.task=exact")
    refused(run(2, *settings, "run.task=exact", "--fresh", expect=78), "run.output")
    with h5py.File(folder / "run" / "run.h5") as file:
        if before != [file.attrs["status"], file.attrs["why_stopped"]]:
            raise Failure(f"the fit ended as {before}, {[file.attrs['status'], file.attrs['why_stopped']]} is told after the task")
        missing = [name for name in ("trace/elbo", "inference/polynomial.constant", "exact/elbo", "exact/gap_fit", "exact/mean") if name not in file]
        if missing:
            raise Failure(f"run.h5 holds no {missing}")
        gap = file["exact/gap_fit"][()]
    if "this fit" not in text:
        raise Failure(f"the table does not tell of the fit: {text}")
    refused(run(1, *settings, "run.task=exact", "inference.domain=self", expect=65), "inference")
    run(1, *settings, "-q", "run.after=exact, evaluate", "--fresh")
    return [close("gap", read(folder / "run" / "run.h5")["gap_fit"], gap, 1e-7)]


def group(path, name):
    """Bytes of every dataset of a group and of the groups in it, and every attribute but the references between datasets and their scales."""
    found = {}

    def look(where, item):
        found.update({(where, a): v.tobytes() if hasattr(v, "tobytes") else v for a, v in item.attrs.items() if a not in ("DIMENSION_LIST", "REFERENCE_LIST")})
        if isinstance(item, h5py.Dataset):
            found[where] = item[()].tobytes()

    with h5py.File(path) as file:
        if name not in file:
            return None
        look(name, file[name])
        file[name].visititems(look)
    return found


def same(what, before, after):
    if before is None or before != after:
        wrong = before if after is None or before is None else [k for k in {**before, **after} if before.get(k) != after.get(k)]
        raise Failure(f"{what} is not what it was: {wrong if after and before else 'it is gone'}")


def kept(folder):
    """A task keeps in run.h5 what others wrote about the same fit, to the byte; another fit has nothing of it; without checkpoints no fit is replaced."""
    run_h5, told = folder / "run" / "run.h5", []
    settings = [PAPER / "linear.ini", "-q", "data.rows=150", "data.test_rows=20", "objective.draws=0", "optim.steps=3", "run.precision=double", "gap.draws=50", f"run.output={folder}/run"]
    for function in ("polynomial", "factorized"):
        settings = [*settings[:-1], f"run.output={folder}/{function}"]
        run_h5 = folder / function / "run.h5"
        given = [*settings, f"inference.function={function}"]
        run(2, *given, "run.after=exact")
        exact_first = group(run_h5, "exact")
        run(3, *given, "run.task=gap", "gap.data=train")
        same(f"{function}: /exact after gap", exact_first, group(run_h5, "exact"))
        train = group(run_h5, "gap/train")
        run(1, *given, "run.task=gap", "gap.data=test")
        same("/gap/train after that of test rows", train, group(run_h5, "gap/train"))
        both = group(run_h5, "gap")
        run(2, *given, "run.task=exact")
        same("/gap after exact", both, group(run_h5, "gap"))
        same("/exact made again", exact_first, group(run_h5, "exact"))
        run(1, *given, "output.local=yes")
        same("/gap after results written again", both, group(run_h5, "gap"))
        told.append(f"{function}: {len(both) + len(exact_first)} values and attributes kept")
        run(2, *given, "optim.steps=5")
        if group(run_h5, "gap") is not None or group(run_h5, "exact") is not None:
            raise Failure("answers about a fit of 3 steps stand beside one of 5")
    for file in (folder / "factorized" / "checkpoint").iterdir():
        file.unlink()
    before = run_h5.read_bytes()
    refused(run(1, *given, "optim.steps=5", "run.task=exact", expect=78), "run.output", "use another run.output")
    if run_h5.read_bytes() != before:
        raise Failure("the results of a fit without checkpoints were replaced")
    return told


def refusals(folder):
    here = f"run.output={folder}/no"
    told = [refused(run(2, PAPER / "nonlinear.ini", here, "run.task=exact", expect=78), "nonlinear", "linear, saw, hmm, ppca")]
    refused(run(1, PAPER / "nonlinear.ini", here, "run.after=exact", expect=78), "nonlinear", "linear, saw, hmm, ppca")
    refused(run(1, PAPER / "saw.ini", here, "run.after=evaluate, exactly", expect=78), "exactly", "evaluate")
    refused(run(1, PAPER / "saw.ini", here, "run.task=exact", "model.a=0", expect=78), "theta")
    small = ["data.source=model", "data.rows=40", "model.simulate_width=4", "optim.batch=0", "run.task=exact", here]
    refused(run(1, PAPER / "ppca.ini", *small, "model.latent=4", expect=78), "latent", "fewer")
    refused(run(1, PAPER / "ppca.ini", *small, "model.latent=2", "model.global=gaussian", expect=78), "point")
    refused(run(1, PAPER / "ppca.ini", *small, "model.latent=2", "model.prior_sd=1", expect=78), "prior_sd")
    if (folder / "no").exists():
        raise Failure("a refused run left a folder")
    return told


if __name__ == "__main__":
    main(linear, saw, hmm, ppca, precision, task, kept, refusals)
