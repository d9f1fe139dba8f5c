"""A run: what run.h5 holds, and the fit applied to other rows."""

import os

from .errors import NotFound
from .reading import Group, Store


class Run(Store):
    """One run, from its folder or its run.h5: arrays that are read when asked for, and the fit to be used on other rows.

        run = Run("runs/vae")
        run.trace["step"], run.trace["elbo_per_row"]    # (logged steps); nats per row
        run.theta["decoder.0.weight"]["mean"]           # parameters, shaped as in the model
        run.local["mean"]                               # (rows, dimensions), in the order of the data as given
        run.encode(X)["mean"]                           # the same for other rows

    Parts that a run does not have are empty Groups, which are false and name themselves when read (NotFound).
    The file stays as it was when it was opened; reload() reads what a run that is going on has written since.
    Raises NotFound where there is no file, DataError where it is none of a run.
    """

    _format, _kind = "avi_mpi run", "the result of a run"

    def __init__(self, path):
        path = os.fspath(path)
        super().__init__(os.path.join(path, "run.h5") if os.path.isdir(path) else path)

    def __reduce__(self):
        return Run, (self.path,)

    def __repr__(self):
        return f"<Run {self.folder}: {self.setting('model', 'name', '?')}, {self.setting('inference', 'function', '?')}, {self.status} after {self.attributes.get('steps', '?')} steps>"

    def reload(self):
        """Opens the file anew, for what was written since. Returns the run."""
        self.close()
        self._open()
        return self

    # ---- parts of the file ----

    @property
    def name(self):
        """Last part of the folder (str)."""
        return os.path.basename(self.folder)

    @property
    def status(self):
        """running, done, stopped (with a checkpoint) or diverged (str), when the file was opened."""
        return self.attributes.get("status", "")

    @property
    def trace(self):
        """Group with one value per logged step (logged steps): step, epoch, seconds, elbo (nats, whole data set), elbo_per_row, log_likelihood, kl_local, grad_norm, ...

        elbo_rank (nats) and seconds_rank (seconds) are (logged steps, ranks).
        """
        return Group(self, "/trace")

    @property
    def eval(self):
        """Group with one value per evaluation: step, elbo_train, elbo_test (nats per row), mse_train, mse_test (data units squared), and their standard errors NAME_error.

        kl_dimension is (evaluations, dimensions), nats per row.
        """
        return Group(self, "/eval")

    @property
    def theta(self):
        """Group of the global parameters of the model: theta[name]["mean"], and ["sd"] where model.global = gaussian, shaped as in the model."""
        return Group(self, "/global")

    global_ = theta

    @property
    def phi(self):
        """Group of the weights of the inference function: phi[name], shaped (outputs, inputs) or (outputs)."""
        return Group(self, "/inference")

    inference = phi

    @property
    def local(self):
        """Group of the factors q(z_n), rows in the order of the data as given: mean, log_sd (rows, dimensions), covariance (rows, dimensions, dimensions) of gaussian_full.

        Runs keep it with inference.function = factorized or output.local = yes.
        """
        return Group(self, "/local")

    @property
    def gap(self):
        """Group of what amortization costs: gap["train"] and gap["test"] have one value per row (nats): amortization_gap, amortization_gap_error, elbo_avi, elbo_fvi, log_p, khat, ...

        Of a run with run.after = gap (run__after="gap").
        """
        return Group(self, "/gap")

    @property
    def exact(self):
        """Group of the answers in closed form (run.after = exact): mean, log_sd (rows, dimensions), elbo, log_evidence (nats), ..."""
        return Group(self, "/exact")

    @property
    def diagnose(self):
        """Group of run.after = diagnose: verdict (str), floor_DOMAIN, floor_error_DOMAIN (nats, all training rows), witness, ..."""
        return Group(self, "/diagnose")

    @property
    def images(self):
        """Group of images from 0 to 1 (images, pixels): original, reconstruction, sample, walk; attributes height and columns."""
        return Group(self, "/images")

    @property
    def data(self):
        """Group about the data: smallest, largest, mean, sd (columns), columns (their names, one per line)."""
        return Group(self, "/data")

    @property
    def origin(self):
        """Where this comes from, in one line: for the foot of a figure."""
        about = self.provenance
        parts = [f"avi_mpi {about.get('version', '?')}", f"revision {about.get('git_revision', 'unknown')}", self.name]
        if "ranks" in about:
            parts.append(f"{about['ranks']} rank{'s' if about['ranks'] != 1 else ''}")
        if self.status and self.status != "done":
            parts.append(str(self.status))
        return ", ".join(parts)

    # ---- the fit on other rows ----

    def encode(self, X=None, *, np=None, output=None, progress=False, **keys):
        """q(z_n) of other rows. A Results with mean, log_sd (rows, dimensions) and, of gaussian_full, covariance (rows, dimensions, dimensions).

        X         rows with the columns of the fit, as fit() takes them; None: the rows of the fit
        np        ranks; None: the tasks of the Slurm job, else all cores
        output    folder to keep the results in; None: one that goes away with the Results
        progress  True: the program's lines on the screen
        keys      of the configuration, section__key=value

        Rows are in the order of X. Rows of a factorized fit get factors of their own, with theta fixed.
        Raises as fit() does: DataError for rows that do not fit, ...
        """
        return self._use("encode", X, np, output, progress, keys)

    def evaluate(self, X=None, *, draws=0, np=None, output=None, progress=False, **keys):
        """How well the model explains other rows. A Results with one value per row (nats): elbo, elbo_error, log_likelihood, kl, log_p, log_p_error, khat (no unit), ess (draws).

        draws     of z per row for the importance weights of log p(x); 0: 200
        The other arguments are those of encode().
        """
        return self._use("evaluate", X, np, output, progress, dict(keys, rows__draws=draws))

    def reconstruct(self, X=None, *, draws=0, np=None, output=None, progress=False, **keys):
        """E[x | z] with z from q(z_n) of other rows. A Results with reconstruction (rows, columns) in the units of the data, mean and log_sd as encode().

        draws     of z per row; 0: 20
        The other arguments are those of encode().
        """
        return self._use("reconstruct", X, np, output, progress, dict(keys, rows__draws=draws))

    def sample(self, n=1000, X=None, *, np=1, output=None, progress=False, **keys):
        """Draws from the prior: a Results with z (n, dimensions), mean = E[x | z] and x (n, columns) in the units of the data.

        With rows X, draws for each of them from its posterior: z (rows, n, dimensions) and x (rows, n, columns).
        The other arguments are those of encode().
        """
        if X is None:
            return self._use("sample", None, np, output, progress, dict(keys, sample__count=n), "prior")
        return self._use("sample", X, np, output, progress, dict(keys, sample__of="posterior", rows__draws=n), "posterior")

    def _use(self, task, X, np, output, progress, keys, group=""):
        from .use import use

        return use(self, task, X, np, output, progress, keys, group)

    # ---- into other forms ----

    def to_xarray(self, *groups):
        """An xarray.Dataset of the run, whose variables are read when used.

        groups    "trace", "eval", "theta", "local", "gap", ...; none given: all that the run has of trace, eval,
                  theta, phi, local, gap, exact and images

        A variable is named by its group: trace_elbo, local_mean, gap_train_khat; units and description are its
        attributes. Dimensions have the names of the axes in the file, with the group in front where sizes differ.
        Values stay readable while the run is open. NotFound for a group that the run does not have, ImportError
        without xarray.
        """
        from .convert import to_dataset

        known = {"trace": self.trace, "eval": self.eval, "theta": self.theta, "phi": self.phi, "local": self.local, "gap": self.gap, "exact": self.exact, "images": self.images}
        chosen = {name: known.get(name, self.group("/" + name)) for name in groups} or {name: group for name, group in known.items() if group}
        for name, group in chosen.items():
            if not group:
                raise NotFound(f"{self.path}: this run has no {name}")
        return to_dataset(chosen, dict(self.provenance, status=self.status))

    def to_netcdf(self, path, X, *, draws=100, chains=(), np=None, progress=False, seed=1):
        """Draws for given rows as a netCDF file that ArviZ reads (InferenceData of 0.x, DataTree of 1.x). Returns the path (str).

        path      of the file, for example posterior.nc
        X         rows with the columns of the fit, an array or a DataFrame, whose names become coordinates
        draws     of z, x and theta
        chains    other Runs of the same model: each becomes one more chain
        np, progress   as of encode()
        seed      of the draws of theta

        Groups: posterior has z (chain, draw, row, dimension) from q(z_n), and theta where model.global = gaussian;
        posterior_predictive x (chain, draw, row, column) in the units of the data; observed_data x; constant_data the
        global parameters that are points (chain, ...), and log_p, khat, ess, elbo (chain, row), nats, of evaluate().
        There is no group log_likelihood: the program does not write log p(x | z, theta) of single draws.
        Needs xarray and netCDF4 or h5netcdf (ImportError). Raises as encode() does, WriteError where it cannot write.
        """
        from .netcdf import write

        return write([self, *chains], os.fspath(path), X, draws, np, progress, seed)


def open_run(path):
    """The Run in a folder, or of a run.h5. The same as Run(path)."""
    return Run(path)
