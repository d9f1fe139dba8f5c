#!/usr/bin/env python3
"""Bad input at 1 and 3 ranks: each with its exit status and one message that says what is wrong and what to use; never a hang."""
import concurrent.futures
import gzip
import pathlib
import struct
import sys
import tempfile

import h5py
import numpy as np

from cli import run

INI = """
[data]
source = strokes
rows = 256
[model]
name = vae
latent = 2
hidden = 8
[inference]
hidden = 8
[optim]
batch = 64
tile = 8
steps = 3
[log]
images = 0
[run]
output = {output}
"""


def idx(path, rows=96, height=28, columns=28, magic=0x803, cut=0, opener=open):
    values = np.random.default_rng(1).integers(0, 256, rows * height * columns, dtype=np.uint8).tobytes()
    data = struct.pack(">4I", magic, rows, height, columns) + values
    with opener(path, "wb") as file:
        file.write(data[:len(data) - cut])
    return path


def labels(path):
    path.write_bytes(struct.pack(">2I", 0x801, 96) + bytes(96))
    return path


def truncated_gz(path):
    """Cut in the middle of the stream, which then has no length at its end."""
    whole = gzip.compress(idx(path).read_bytes())
    path.write_bytes(whole[:len(whole) // 2])
    return path


def hdf5(path, values, name="x"):
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=values)
    return path


def with_nan(rows=96, row=70, column=5):
    values = np.zeros((rows, 12), dtype=np.float32)
    values[row, column] = np.nan
    return values


def cases(folder):
    """(name, arguments, exit status, words of the message, ranks)."""
    f, ini = folder, folder / "good.ini"
    every, small = (1, 3), ["optim.batch=32", "optim.tile=8", "data.rows=0"]
    idx_of = lambda path, *more: [ini, "data.source=idx", f"data.path={path}", *small, *more]
    hdf5_of = lambda path, *more: [ini, "data.source=hdf5", f"data.path={path}", "model.likelihood=gaussian", *small, *more]
    ordinary = idx(f / "images")
    text = f / "text.idx"
    text.write_text("these are no images\n" * 9)
    (f / "text.h5").write_text("this is no HDF5 file\n" * 50)
    zero = np.zeros((96, 12), dtype=np.float32)
    yield "configuration missing", [f / "none.ini"], 66, [r"none\.ini", "no such configuration file"], every
    yield "configuration a folder", [f], 66, ["has no checkpoint, so there is no fit to use"], every
    yield "data missing", idx_of(f / "none.idx"), 66, [r"\[data\] path = \S*none\.idx", "No such file"], every
    yield "data a folder", idx_of(f), 66, ["is a folder", "give an IDX images file"], every
    yield "data not named", [ini, "data.source=idx"], 78, [r"\[data\] path.*is not set"], every
    yield "gz truncated", idx_of(truncated_gz(f / "cut.gz")), 65, [r"cut\.gz: .*truncated", "fetch the file again"], every
    yield "images truncated", idx_of(idx(f / "cut", cut=1000)), 65, [r"cut is truncated: 96 images of 28 x 28"], every
    yield "wrong magic number", idx_of(idx(f / "magic", magic=0x12345678)), 65, ["is not an IDX file: magic number 0x12345678"], every
    yield "text for images", idx_of(text), 65, [r"text\.idx is not an IDX file"], every
    yield "images of another type", idx_of(idx(f / "floats", magic=0xd03)), 65, ["IDX file of type 0x0d", "unsigned bytes"], every
    yield "HDF5 for IDX", idx_of(hdf5(f / "swap.h5", zero)), 65, ["is an HDF5 file; set data.source = hdf5"], every
    yield "labels for images", idx_of(labels(f / "labels")), 65, ["is a labels file; give the images file"], every
    yield "sizes of train and test", idx_of(ordinary, f"data.test_path={idx(f / 'small', height=20, columns=20)}"), 65, ["20 x 20", "28 x 28", "same size"], every
    yield "test data missing", idx_of(ordinary, f"data.test_path={f / 'none'}"), 66, [r"\[data\] test_path"], every
    yield "no images", idx_of(idx(f / "empty", rows=0)), 65, ["no images"], every
    yield "empty file", idx_of(idx(f / "nothing", rows=0, cut=16)), 65, [r"nothing.*(truncated|empty)"], every
    yield "more rows than there are", [ini, "data.source=idx", f"data.path={ordinary}", "optim.batch=32", "data.rows=1000"], 78, [r"\[data\] rows = 1000", "96"], every
    yield "HDF5 missing", hdf5_of(f / "none.h5"), 66, [r"\[data\] path = \S*none\.h5"], every
    yield "not HDF5", hdf5_of(f / "text.h5"), 65, ["is not an HDF5 file"], every
    yield "HDF5 truncated", hdf5_of(cut_hdf5(f / "cut.h5", zero)), 65, [r"cut\.h5.*(truncated|corrupt|cannot be read)"], every
    yield "dataset missing", hdf5_of(hdf5(f / "named.h5", zero, "pixels")), 65, [r"\[data\] dataset = x: no such dataset", r"it has: pixels \(96, 12\)"], every
    yield "dataset of rank 0", hdf5_of(hdf5(f / "scalar.h5", np.float32(1))), 65, ["has no dimensions"], every
    yield "dataset of words", hdf5_of(hdf5(f / "words.h5", np.array([b"a"] * 96))), 65, ["no numbers"], every
    yield "dataset without rows", hdf5_of(hdf5(f / "rows.h5", zero[:0])), 65, ["has no rows"], every
    yield "NaN", hdf5_of(hdf5(f / "nan.h5", with_nan())), 65, ["row 70, column 5", "NaN", "every value must be finite"], every
    yield "infinity", hdf5_of(hdf5(f / "inf.h5", np.where(np.isnan(with_nan()), np.inf, zero))), 65, ["row 70, column 5", "infinite"], every
    yield "batch over rows", [ini, "optim.batch=512"], 78, [r"\[optim\] batch = 512", "256"], every
    yield "an epsilon of 0", [ini, "optim.epsilon=0"], 78, [r"\[optim\] epsilon: '0' is out of range", "1e-16"], every
    yield "tile against batch", [ini, "optim.tile=7"], 78, [r"\[optim\] tile = 7", "does not divide"], every
    # More than any machine has: told before it is taken, with the key that takes most.
    yield "memory of the model", [ini, "model.hidden=1000000,1000000"], 78, [r"\[model\] hidden = 1000000, 1000000", "GB", "available"], every
    yield "memory of the inference function", [ini, "--dry-run", "inference.hidden=1000000,1000000"], 78, [r"\[inference\] hidden", "GB"], every
    groups = [ini, "model.name=hier_logistic", "data.source=model", "inference.function=constant", "model.trials=65536"]
    yield "memory of wide rows", [*groups, "model.covariates=30000"], 78, [r"\[model\] trials = 65536", "GB"], every
    yield "rows wider than a row can be", [*groups, "model.covariates=65536"], 78, [r"\[model\] trials = 65536", "4295032832 values"], every
    yield "more ranks than lanes", [ini, "optim.batch=16"], 78, ["3 ranks", "2 lanes", r"optim\.(tile|batch)"], (3,)
    yield "output below a file", [ini, f"run.output={ordinary}/run"], 73, [r"images/run", "choose a run.output"], every
    yield "output is a file", [ini, f"run.output={ordinary}"], 73, ["is a file, not a folder"], every
    yield "no checkpoint", [ini, f"run.output={f / 'fresh'}", "--resume"], 78, ["there is no checkpoint in"], every
    yield "checkpoint of another model", [ini, f"run.output={f / 'run'}", "--resume", "model.latent=3"], 65, [r"\[model\] latent: '3' here, '2' there"], every
    yield "checkpoint of another optimizer", [ini, f"run.output={f / 'run'}", "optim.method=sgd", "--resume"], 65, [r"\[optim\] method"], every
    yield "checkpoint of other data", [ini, f"run.output={f / 'run'}", "data.rows=128", "--resume"], 65, [r"\[data\] rows"], every


def cut_hdf5(path, values):
    data = hdf5(path, values).read_bytes()
    path.write_bytes(data[:len(data) // 2])
    return path


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="avi_cli_") as name:
        folder = pathlib.Path(name)
        (folder / "good.ini").write_text(INI.format(output=folder / "out"))
        run(2, folder / "good.ini", f"run.output={folder / 'run'}").good()
        before = {p: p.read_bytes() for p in (folder / "run").rglob("*.h5")}
        work = [(case, ranks) for case in cases(folder) for ranks in case[4]]

        def one(item):
            (title, arguments, code, words, _), ranks = item
            try:
                # Each has an output folder of its own: they run side by side.
                own = [] if any(str(a).startswith("run.output=") for a in arguments) else [f"run.output={folder / 'out'}{abs(hash(title))}{ranks}"]
                run(ranks, *arguments, *own).refused(code, *words)
            except Exception as problem:
                return f"{title}, {ranks} ranks: {problem}"
            return None

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for problem in pool.map(one, work):
                if problem:
                    failed += 1
                    print("FAILED", problem, flush=True)
        if before != {p: p.read_bytes() for p in (folder / "run").rglob("*.h5")}:
            failed += 1
            print("FAILED: a refused run changed the files of the one before it")
    print(f"{len(work)} refusals, {failed} not as they should be")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
