#!/usr/bin/env python3
"""Damaged HDF5 files as data of the real program: it ends with 0, 65 or 66, with one message, never by a signal, and in time.

    damaged_hdf5.py [--count 160] [--seed 1] [--keep FOLDER] [--endless LIBRARY]
--keep: files that fail, or that only the child meets, stay in FOLDER. --endless: a library that is preloaded once, whose H5Fopen uses up its time.

Small files of every layout are damaged at random: bits, bytes, words, missing ends. corpus/damaged_hdf5 holds some on which HDF5 1.10.8
crashes or loops. The damage hits what HDF5 keeps about the rows as often as the rows; neither has a checksum in the older format."""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import zlib

import h5py
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
from cli import run  # noqa: E402

PROGRAM = os.environ.get("AVI_MPI", "avi_mpi")
CORPUS = pathlib.Path(__file__).resolve().parent / "corpus" / "damaged_hdf5"
LIMIT = 100  # seconds: longer is a hang; the program gives HDF5 ten of processor time
ENVIRONMENT = dict(os.environ, OPENBLAS_NUM_THREADS="1", OMPI_MCA_ess_singleton_isolated="1")  # without Open MPI's daemon: sooner
INI = """
[data]
source = hdf5
[model]
name = ppca
latent = 1
[inference]
function = constant
[optim]
batch = 0
steps = 1
"""
ROWS, WIDTH = 24, 6


def layouts(folder):
    """Name -> bytes of a sound file."""
    values = np.arange(ROWS * WIDTH, dtype="f4").reshape(ROWS, WIDTH) / 7
    kinds = {"contiguous": {}, "chunked": dict(chunks=(5, 4)), "deflate": dict(chunks=(8, WIDTH), compression=9),
             "filters": dict(chunks=(7, 3), compression=9, shuffle=True, fletcher32=True),
             "nbit": dict(chunks=(8, WIDTH), scaleoffset=3)}
    for libver in "earliest", "latest":
        for kind, options in kinds.items():
            path = folder / f"{kind}_{libver}.h5"
            with h5py.File(path, "w", libver=libver) as file:
                file.create_dataset("x", data=values, **options)
            yield path.stem, path.read_bytes()
    path = folder / "compact.h5"
    with h5py.File(path, "w") as file:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_layout(h5py.h5d.COMPACT)
        dataset = h5py.h5d.create(file.id, b"x", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple(values.shape), plan)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, values)
    yield path.stem, path.read_bytes()


def written_chunks(folder):
    """(what, bytes, exit status) of files whose chunks are written as they are: HDF5 reads past those that are too short."""
    whole = np.arange(8 * WIDTH, dtype="f4").tobytes()
    cases = [("whole", {"compression": 1}, 0, zlib.compress(whole), 0), ("filter_left_out", {"compression": 1}, 1, whole, 0),
             ("short_stream", {"compression": 1}, 0, zlib.compress(whole[:-4]), 65), ("long_stream", {"compression": 1}, 0, zlib.compress(whole + b"1234"), 65),
             ("cut_stream", {"compression": 1}, 0, zlib.compress(whole)[:-9], 65), ("no_stream", {"compression": 1}, 0, whole, 65),
             ("short_checksum", {"fletcher32": True}, 0, b"ab", 65),
             ("short_left_out", {"compression": 1}, 1, whole[:-4], 65), ("short_plain", {}, 0, whole[:20], 65)]
    for what, options, mask, chunk, code in cases:
        path = folder / f"{what}.h5"
        with h5py.File(path, "w") as file:
            dataset = file.create_dataset("x", (16, WIDTH), "f4", chunks=(8, WIDTH), **options)
            dataset[:] = 1
            dataset.id.write_direct_chunk((8, 0), chunk, mask)
        yield what, path.read_bytes(), {code}


def damage(data, chance):
    """One to three changes."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        at, kind = chance.randrange(len(data)), chance.randrange(12)
        if kind < 5:
            data[at] ^= 1 << chance.randrange(8)
        elif kind < 9:
            data[at] = chance.choice((0, 1, 0x7f, 0x80, 0xff, chance.randrange(256)))
        elif kind < 10:
            data[at:at + 8] = chance.choice((b"\xff", b"\0", chance.randbytes(1))) * min(8, len(data) - at)
        elif kind < 11:
            other = chance.randrange(len(data))
            data[at:at + 16] = data[other:other + 16][:len(data) - at].ljust(min(16, len(data) - at), b"\0")
        elif at > 100:
            del data[at:]
    return bytes(data)


def wrong(folder, path, **environment):
    """What is wrong with how the program ends, "" when all is well; its exit status; what it says."""
    command = [PROGRAM, "--dry-run", str(folder / "a.ini"), f"data.path={path}"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=LIMIT,
                              env=dict(ENVIRONMENT, TMPDIR=str(path.parent), **environment))
    except subprocess.TimeoutExpired:
        return "does not end", None, ""
    messages = len(re.findall(r"^avi_mpi: error: ", done.stderr, re.M))
    if done.returncode not in (0, 65, 66):
        return f"exit status {done.returncode}\n{done.stdout[-500:]}{done.stderr[-1500:]}", done.returncode, done.stderr
    if messages != (done.returncode != 0) or (done.returncode and done.stderr.count("\n") > 1):
        return f"exit status {done.returncode} with\n{done.stderr[-1500:]}", done.returncode, done.stderr
    return "", done.returncode, done.stderr


def attempt(folder, number, what, data, expected):
    own = folder / str(number)  # also for Open MPI, which confuses two runs that start at once
    own.mkdir()
    path = own / "a.h5"
    path.write_bytes(data)
    problem, code, said = wrong(folder, path)
    shutil.rmtree(own)
    if not problem and code not in expected:
        problem = f"exit status {code}, {expected} expected\n{said}"
    died = re.search(r"HDF5 (crashes on it|finds no end)", said)
    return what, data, problem, died.group(1) if died else code


def endless(folder, library, data):
    path = folder / "endless.h5"
    path.write_bytes(data)
    problem, code, said = wrong(folder, path, LD_PRELOAD=library)
    return problem or ("" if code == 65 and "HDF5 finds no end in it" in said else f"exit status {code}\n{said}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=160)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--endless")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name, concurrent.futures.ThreadPoolExecutor(4) as pool:  # starting a rank is mostly waiting
        folder = pathlib.Path(name)
        (folder / "a.ini").write_text(INI)
        sound = dict(layouts(folder))
        kinds = sorted(sound)
        never = pool.submit(endless, folder, options.endless, sound["compact"]) if options.endless else None
        tries = [(f"sound_{kind}", sound[kind], {0}) for kind in kinds]
        tries += list(written_chunks(folder))
        tries += [(f"corpus_{file.name}", file.read_bytes(), {65}) for file in sorted(CORPUS.glob("*"))]
        tries += [(f"{kinds[i % len(kinds)]}_{i}", damage(sound[kinds[i % len(kinds)]], chance), {0, 65, 66}) for i in range(options.count)]
        for file in CORPUS.glob("*"):  # on all ranks the same, with one message
            run(3, "--dry-run", folder / "a.ini", f"data.path={file}").refused(65, re.escape(str(file)))
        done = list(pool.map(lambda t: attempt(folder, *t), [(n, *t) for n, t in enumerate(tries)]))
        if never:
            done.append(("endless_open", sound["compact"], never.result(), "finds no end"))
    for what, data, problem, end in done:
        if problem:
            print(f"{what} (seed {options.seed}): {problem}")
        if options.keep and (problem or isinstance(end, str)):
            (options.keep / f"{what}_{options.seed}.h5").write_bytes(data)
    ends = collections.Counter(end for _, _, _, end in done)
    print(f"{len(done)} files: " + ", ".join(f"{n} {end}" for end, n in sorted(ends.items(), key=str)))
    return 1 if any(problem for _, _, problem, _ in done) else 0


if __name__ == "__main__":
    sys.exit(main())
