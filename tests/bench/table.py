"""The benchmark's table: columns with units and meaning; written as CSV, HDF5 and Markdown, read back from the first two."""
import csv
import math

# name, unit ("" = none), description
COLUMNS = [
    ("workload", "", "Name of the workload"),
    ("avi_ms", "ms", "Median time of a step of avi_mpi on all cores"),
    ("avi_elbo", "nats/row", "ELBO per row at the end of avi_mpi's run; NaN where it was not logged"),
    ("torch_ms", "ms", "Median time of a step of PyTorch at its best setting"),
    ("torch_elbo", "nats/row", "ELBO per row at the end of PyTorch's run, mean over the last 20 steps"),
    ("torch_setting", "", "PyTorch's best setting: threads x processes"),
    ("ratio", "", "torch_ms / avi_ms: how many times faster avi_mpi is"),
    ("goal", "", "Ratio to reach"),
    ("limit_ms", "ms", "Time of the step's matrix products, Adam and allreduce at the rates measured in this run"),
    ("limit_fraction", "", "limit_ms / avi_ms; 1 would be a step without any other cost. NaN for models without matrix products"),
    ("gemm_ms", "ms", "Part of limit_ms: matrix products at the sgemm rate of the same shapes with all cores busy"),
    ("adam_ms", "ms", "Part of limit_ms: 28 bytes a parameter at the triad bandwidth for arrays of that size"),
    ("allreduce_ms", "ms", "Part of limit_ms: one MPI_Allreduce of the gradient"),
    ("draw_ns", "ns", "Core time for a draw of one z_n, all of the step included; NaN for models where draws are a side matter"),
    ("load", "", "Largest load average (1 minute) seen before a run: other work on the machine disturbs"),
]
TEXT = {"workload", "torch_setting"}


def write_csv(path, rows, about, columns=None):
    """columns: of another table than the one of steps; a value that is a str is text, others are numbers."""
    with open(path, "w", newline="") as f:
        for key, value in about.items():
            f.write(f"# {key}: {value}\n")
        writer = csv.DictWriter(f, [c[0] for c in columns or COLUMNS])
        writer.writeheader()
        for row in rows:
            writer.writerow({k: v if isinstance(v, str) else repr(float(v)) for k, v in row.items()})


def write_hdf5(path, rows, about, columns=None):
    import h5py
    with h5py.File(path, "w") as f:
        f.attrs["format"] = "avi_mpi benchmark"
        f.attrs["format_version"] = 1
        for key, value in about.items():
            f.attrs[key] = value
        for name, unit, description in columns or COLUMNS:
            values = [row[name] for row in rows]
            kind = h5py.string_dtype() if isinstance(values[0], str) else "<f8"
            data = f.create_dataset(name, data=values, dtype=kind)
            data.attrs["description"], data.attrs["units"], data.attrs["axes"] = description, unit, "workload"


def put_section(page, begin, text):
    """Writes `text` into the file `page` between the line `begin` and the next line that ends a generated section."""
    with open(page) as f:
        head, found, rest = f.read().partition(begin + "\n")
    _, end, tail = rest.partition("<!-- generated: end -->")
    if not found or not end:
        raise ValueError(f"{page} has no section {begin}")
    with open(page, "w") as f:
        f.write(head + found + text + end + tail)


def number(value, digits=3):
    return "" if math.isnan(value) else f"{value:.{digits}g}"


def percent(value):
    return "" if math.isnan(value) else f"{100.0 * value:.0f} %"


def markdown(rows, titles):
    """The table of issue and README: one line a workload."""
    lines = ["| workload | avi_mpi, ms a step | PyTorch, ms | PyTorch's best setting | ratio | goal | of the limit | limit, ms (gemm + Adam + allreduce) | ns a draw |",
             "|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        parts = " + ".join(number(row[k]) for k in ("gemm_ms", "adam_ms", "allreduce_ms"))
        limit = "" if math.isnan(row["limit_ms"]) else f"{number(row['limit_ms'])} ({parts})"
        lines.append("| " + " | ".join([
            titles[row["workload"]], number(row["avi_ms"]), number(row["torch_ms"]), row["torch_setting"],
            "" if math.isnan(row["ratio"]) else f"{row['ratio']:.2f}", f"{row['goal']:g}", percent(row["limit_fraction"]), limit,
            number(row["draw_ns"])]) + " |")
    return "\n".join(lines) + "\n"


def read(path):
    """Rows (list of dicts) and what is said about the run (dict), from CSV or HDF5."""
    if path.endswith((".h5", ".hdf5")):
        import h5py
        with h5py.File(path, "r") as f:
            columns = {name: f[name].asstr()[:] if name in TEXT else f[name][:] for name, _, _ in COLUMNS if name in f}
            about = {k: str(v) for k, v in f.attrs.items()}
        count = len(columns["workload"])
        return [{k: str(v[i]) if k in TEXT else float(v[i]) for k, v in columns.items()} for i in range(count)], about
    about, lines = {}, []
    with open(path, newline="") as f:
        for line in f:
            if line.startswith("# "):
                key, _, value = line[2:].rstrip("\n").partition(": ")
                about[key] = value
            else:
                lines.append(line)
    rows = [{k: v if k in TEXT else float(v) for k, v in row.items()} for row in csv.DictReader(lines)]
    return rows, about
