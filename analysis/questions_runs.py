"""The runs that jobs/questions.sh left in a folder, with what its questions ask of them; limits of gaps for large N. Used by plot_questions.py."""

import glob
import math
import os

import h5py
import numpy as np

from avi_read import RunError
from paper_loss import model_of
from paper_runs import Result as PaperResult

A_SAW = 0.75  # of inputs/paper/saw.ini
TAU, SIGMA = 1.155, 2.43  # of inputs/paper/linear.ini


def spectral_gap(a, window, q=1.0, r=1.0, points=4096):
    """Nats per row that the best affine f of x_{n-w} .. x_{n+w} leaves in a long chain z_n ~ N(a z_{n-1}, q), x_n ~ N(z_n, r), |a| < 1.

    The optimal means are a filter of x: h = 1 / (r L), L(w) = 1/r + |1 - a e^{iw}|^2 / q the spectrum of the posterior's precision. A window's filter b loses (1/2) E L |h - b|^2 S per row,
    S = r + q / |1 - a e^{iw}|^2 the spectrum of x: weighted least squares over the frequencies. The means alone; what the common sd loses is of order 1 / N.
    """
    omega = 2 * np.pi * np.arange(points) / points
    step = np.abs(1 - a * np.exp(1j * omega)) ** 2
    precision, spectrum = 1 / r + step / q, r + q / step
    target = 1 / (r * precision)
    basis = np.column_stack([np.cos(k * omega) * (2 if k else 1) for k in range(window + 1)])  # h is even in w
    root = np.sqrt(precision * spectrum)
    rest = root * (target - basis @ np.linalg.lstsq(basis * root[:, None], target * root, rcond=None)[0])
    return 0.5 * float(np.mean(rest ** 2))


def saw_gap(seen):
    """The same for the saw: nu* = x_n + a r_n / (1 + a^2), x a stationary series with x_{n+1} = a x_n + r_n, var r = 1 + a^2."""
    a = A_SAW
    of_x, of_r = (1 + a * a) / (1 - a * a), 1 + a * a
    means = of_x + a * a / of_r
    along = {"none": 0.0, "self": of_x, "ahead": (a * of_x + a) ** 2 / of_x}[seen]
    return 0.5 * (1 + a * a) * (means - along)


# (model, domain, function): the limit of the gap per row; a function where it takes arithmetic
CLOSED = {
    ("linear", "self", "constant"): TAU ** 2 / (2 * SIGMA ** 2), ("linear", "self", "degree_1"): 0.0,
    ("saw", "self", "constant"): lambda: saw_gap("none"), ("saw", "self", "degree_1"): lambda: saw_gap("self"), ("saw", "ahead", "degree_1"): lambda: saw_gap("ahead"),
    ("saw", "next", "degree_1"): 0.0, ("ppca", "self", "degree_1"): 0.0,
    ("hmm", "self", "degree_1"): lambda: spectral_gap(0.9, 0), ("hmm", "window:1", "degree_1"): lambda: spectral_gap(0.9, 1), ("hmm", "window:4", "degree_1"): lambda: spectral_gap(0.9, 4),
}


class Result(PaperResult):
    """One run of a question. Gaps, where the run has a ledger, and ELBOs of held-out rows are in nats per row, NaN where there is none."""

    def _reached(self, run, data):
        setting = run.setting
        self.setting = lambda section, key, fallback="": self._settings.get((section, key), fallback)
        self._settings = {(section, key): value for section in run.config.sections() for key, value in run.config.items(section)}
        self.starts, self.schedule, self.estimator = int(setting("inference", "starts", "1")), setting("optim", "schedule", ""), setting("objective", "estimator", "")
        self.seen = {"self": 1, "next": 2, "ahead": 1}.get(self.domain) or 2 * int(self.domain.partition(":")[2]) + 1
        self.hidden = setting("inference", "hidden").replace(" ", "")
        self.width = int(self.hidden.split(",")[0] or 0) if self.function == "mlp" else 0
        self.parameters = self._parameters(run)
        self.kind, self.label = self._kind(setting)
        self.elbo_reported = float(self.eval["elbo_train"][-1]) * self.rows if len(self.eval.get("elbo_train", ())) else math.nan
        self.gap_train, _, _ = self._ledger(run, "train")
        self.gap_test, self.test_elbo, self.test_fvi = self._ledger(run, "test")
        return self._quadrature(run, data)

    @staticmethod
    def _ledger(run, name):
        group = run.group(f"/gap/{name}")
        if not group:
            return math.nan, math.nan, math.nan
        about = group.attributes
        n = max(1, about["rows"] - about["rows_not_finite"])
        return tuple(float(about[f"total_{one}"]) / n for one in ("amortization_gap", "elbo_avi", "elbo_fvi"))

    @staticmethod
    def _parameters(run):
        sizes = []
        run.group("/inference")._group and run.group("/inference")._group.visititems(
            lambda name, item: sizes.append(item.size) if isinstance(item, h5py.Dataset) and "checksum" in item.attrs else None)
        return int(sum(sizes))

    def _kind(self, setting):
        if self.function == "factorized":
            return "F-VI", "own factors"
        if self.function == "polynomial":
            return "polynomial", f"degree {setting('inference', 'degree')}"
        if self.function == "set":
            return "set", f"entries {setting('inference', 'entry_hidden')}"
        if self.function == "attention":
            return "attention", f"width {setting('inference', 'width')}"
        layers = [one for one in self.hidden.split(",") if one]
        activation = setting("inference", "activation", "relu")
        if not layers:
            return f"network, {activation}", "affine"
        kind = f"network, {activation}, {'other depths' if len(layers) != 2 else 'two layers'}"
        return kind, " x ".join(layers)

    def _quadrature(self, run, data):
        """ELBO of the fitted factors by quadrature where q and the data are at hand, else the program's estimate."""
        x = data.of(run.setting("data", "path"), run.setting("data", "dataset", "x")) if run.setting("data", "source") == "hdf5" else None
        if x is None or self.mean is None or len(x) < len(self.mean):
            return self.elbo_reported
        model = model_of(self.model, x.ravel()[:self.rows], run.setting) if self.model == "nonlinear" else None
        if model is None:
            return self.elbo_reported
        return float(model.elbo(self.mean, run.local["log_sd"].ravel(), *(float(run.global_["theta"][name]) for name in ("mean", "sd"))))

    @property
    def sweep(self):
        return os.path.basename(os.path.dirname(self.path))

    def steps_to(self, elbo):
        """Logged steps until the ELBO is at least this; infinite when never."""
        step, reached = self.trace["step"], self.trace["elbo"]
        there = np.flatnonzero(reached >= elbo)
        return float(step[there[0]]) if len(there) else math.inf


class Data:
    """Data sets, read once."""

    def __init__(self):
        self.read = {}

    def of(self, path, dataset):
        if (path, dataset) not in self.read:
            try:
                with h5py.File(path) as file:
                    self.read[path, dataset] = file[dataset][:].astype(float)
            except (OSError, KeyError):
                self.read[path, dataset] = None
        return self.read[path, dataset]


def load(folder):
    """Every run below the folder that is done; others are named and left out."""
    results, data = [], Data()
    for path in sorted(glob.glob(os.path.join(folder, "*", "*", "run.h5"))):
        try:
            result = Result(path, data)
        except (RunError, OSError) as error:
            print(f"left out: {error}")
            continue
        if result.status == "done":
            results.append(result)
        else:
            print(f"left out: {path} is {result.status}")
    if not results:
        raise RunError(f"{folder}: no runs; jobs/questions.sh makes them", 66)
    return results


def groups(results, key):
    """{key of a result: the results with it}, in the order in which they come."""
    found = {}
    for result in results:
        found.setdefault(key(result), []).append(result)
    return found
