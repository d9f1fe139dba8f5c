"""--verify: runs of many models on some ranks are found the same on others, and one bit that is changed in a digest, in the trace, in the state of a checkpoint or in the data is found,
with the step and the quantity that it is in; what cannot be verified is refused, and nothing is written.

    verify.py [--long] [CHECK]    --long: 200 runs"""
import pathlib
import random
import re
import shutil
import sys

import h5py
import numpy

from runs import Failure, empty_ini, fit, main, small_data, small_function, start
from small import data, write

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "io"))
from store import checksum  # noqa: E402

LONG = "--long" in sys.argv
if LONG:
    sys.argv.remove("--long")
DIFFERS, BAD_DATA, USAGE = 5, 65, 64
BASE = ["run.reproducible=yes", "log.every=3", "log.second_start=no", "checkpoint.minutes=0", "checkpoint.every=5", "checkpoint.keep=3", "optim.steps=14"]
BATCH = ["optim.batch=24", "optim.tile=4", "data.rows=60"]
ALL = ["optim.batch=0", "optim.tile=4", "data.rows=40"]


def kind(model, function, *keys):
    return [*small_data(model), *small_function(function, model), *keys]


KINDS = [
    ("vae", "mlp", *BATCH, "data.test_rows=0"),
    ("linear", "factorized", *BATCH, "run.precision=double"),
    ("hmm", "factorized", *ALL),
    ("nonlinear", "polynomial", *ALL, "objective.draws=0", "objective.points=8", "optim.method=lbfgs"),
    ("hier_logistic+groups", "factorized", *ALL),
    ("linear", "polynomial", *BATCH, "model.global=gaussian", "run.reduction=messages", "optim.method=sgd"),
    ("ppca", "mlp", *BATCH, "inference.family=gaussian_full", "optim.schedule=cosine", "optim.clip_norm=1"),
    ("gp", "factorized", "optim.batch=0", "data.rows=30"),
]


def verify(np, folder, *more, expect=0):
    return start(np, ["--verify", folder, *more], expect=(expect,))


def snapshot(folder):
    return {str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else b"") for p in sorted(folder.rglob("*"))}


def flip(file, path, at, bit):
    """Changes one bit of a value, and the checksum of the dataset with it."""
    content = file[path][()]
    words = content.reshape(-1).view({4: numpy.uint32, 8: numpy.uint64}[content.itemsize])
    words[at] ^= words.dtype.type(1 << bit)
    file[path][...] = content
    file[path].attrs.modify("checksum", numpy.bytes_(f"{checksum(content.tobytes(), content[0].nbytes):016x}"))


def checkpoint(folder, step):
    return folder / "checkpoint" / f"step_{step:09d}.h5"


def digest_of_run(folder, dice):
    """A digest of run.h5: the checksum of its line says it."""
    with h5py.File(folder / "run.h5", "r+") as file:
        lines, columns = file["/digest/digest"].shape
        line, column = dice.randrange(lines), dice.randrange(columns)
        flip(file, "/digest/digest", line * columns + column, dice.randrange(64))
        return rf"run\.h5: step {file['/digest/step'][line]:.0f}: the line of digests", DIFFERS


def digest_of_checkpoint(folder, dice):
    """The same of a checkpoint."""
    step = dice.choice([5, 10, 14])
    with h5py.File(checkpoint(folder, step), "r+") as file:
        lines, columns = file["/digests"].shape
        line = dice.randrange(lines)
        flip(file, "/digests", line * columns + dice.randrange(columns), dice.randrange(64))
        return rf"step_0*{step}\.h5: step {file['/trace'][line, 0]:.0f}: the line of digests", DIFFERS


def whole_line(folder, dice):
    """The digest of a block, with a checksum of the line that fits: only the step done again can tell."""
    with h5py.File(folder / "run.h5", "r+") as file:
        lines, columns = file["/digest/digest"].shape
        names = [n.decode() for n in file["/digest/quantity"][()]]
        zeros = numpy.all(file["/digest/digest"][()] == 0, axis=0)
        line, column = dice.randrange(lines), dice.choice([c for c in range(names.index("local factors"), columns) if not zeros[c]])
        flip(file, "/digest/digest", line * columns + column, dice.randrange(64))
        content = file["/digest/digest"][()]
        content[line, names.index("line")] = numpy.uint64(sum(mix(int(numpy.uint64(content[line, c])), c) for c in range(columns) if names[c] != "line") % 2**64).astype(numpy.int64)
        file["/digest/digest"][...] = content
        file["/digest/digest"].attrs.modify("checksum", numpy.bytes_(f"{checksum(content.tobytes(), content[0].nbytes):016x}"))
        after = " The next logged step agrees" if line + 1 < lines else ""
        return rf"step {file['/digest/step'][line]:.0f} differs: the gradient of {re.escape(names[column])}: run.h5 has .*{after}", DIFFERS


def mix(word, place):
    """The hash of state/digest.c, in Python's integers."""
    mask = 2**64 - 1
    h = (word + (place + 1) * 0x9E3779B97F4A7C15) & mask
    h = ((h ^ h >> 32) * 0xD6E8FEB86659FD93) & mask
    return ((h ^ h >> 29) * 0xBF58476D1CE4E5B9) & mask


def trace(folder, dice):
    with h5py.File(folder / "run.h5", "r+") as file:
        line, name = dice.randrange(len(file["/trace/step"])), dice.choice(["elbo", "elbo_per_row", "log_likelihood", "kl_local", "kl_global", "grad_norm", "learning_rate"])
        flip(file, f"/trace/{name}", line, dice.randrange(51))
        return rf"step {file['/trace/step'][line]:.0f} differs: {name}: run\.h5", DIFFERS


def state(folder, dice):
    step = dice.choice([5, 10, 14])
    with h5py.File(checkpoint(folder, step), "r+") as file:
        names = []
        file["/state"].visititems(lambda n, item: names.append(f"/state/{n}") if isinstance(item, h5py.Dataset) and item.size and item.dtype.kind == "f" else None)
        # elbo_bins are what the screen says of convergence, and no step begins from them
        name = dice.choice([n for n in names if "elbo_bins" not in n and ("lbfgs" not in n or file.attrs["lbfgs_pairs"] > 0)])
        size = file[name].dtype.itemsize
        flip(file, name, dice.randrange(file[name].size), dice.randrange(23 if size == 4 else 52))  # a mantissa stays finite
        words = {"/state/global/value": "the global parameters", "/state/local/value": "the local factors", "/state/exact_scales": "the scales of reproducible sums", "/state/lbfgs": "the pairs"}
        wanted = words.get(name, re.sub(r".*/", "", name) if "feature" not in name else "[a-z ]*of what the inference function sees")
        return rf"step {step}: {wanted}.* of checkpoint/step_0*{step}\.h5 differ|{wanted.split()[-1]}.*(cannot|not|no) ", (DIFFERS, BAD_DATA)


def rows(folder, dice):
    """A value of the data; only of runs that have a file."""
    path = folder.parent / "x.h5"
    with h5py.File(path, "r+") as file:
        x = file["x"][()]
        words = x.reshape(-1).view(numpy.uint64)
        words[dice.randrange(len(words))] ^= numpy.uint64(1 << dice.randrange(52))
        file["x"][...] = x
    return "the data are not those of the run: it had 60 rows", BAD_DATA


CHANGES = [digest_of_run, digest_of_checkpoint, whole_line, trace, state]


def expect_found(np, folder, change, dice, name):
    copy = folder.parent / f"{folder.name}_changed"
    shutil.copytree(folder, copy)
    words, codes = change(copy, dice)
    codes = codes if isinstance(codes, tuple) else (codes,)
    text = start(np, ["--verify", copy], expect=tuple(range(256)))
    verdict = re.search(r"^avi_mpi: .*", text, re.M)
    code = next((c for c in codes if verdict), None)
    if "Agrees" in text or code is None or not re.search(words, text):
        raise Failure(f"{name}: {change.__name__}: \"{words}\" is not in: {text}")
    start(np, ["--verify", copy, "-q"], expect=codes)
    shutil.rmtree(copy)


def same_elsewhere(scratch):
    """Every kind of run: made on some ranks, the same on others, and one changed bit of each sort is found."""
    dice, found, runs = random.Random(21), 0, 0
    ranks = [(2, 3), (1, 2), (3, 1), (2, 1), (1, 1), (2, 2), (1, 3), (3, 2)]
    for k in range(200 if LONG else len(KINDS)):
        which = KINDS[k % len(KINDS)]
        made, again = ranks[(k // len(KINDS) + k) % len(ranks)]
        folder = scratch / f"run{k}"
        fit(folder, *kind(*which[:2]), *BASE, *which[2:], f"run.seed={k + 1}", ini=empty_ini(scratch), np=made)
        name = f"{which[0]} {which[1]} on {made} and {again} ranks"
        before = snapshot(folder)
        text = verify(again, folder)
        if "Agrees: 6 logged steps and 3 checkpoints" not in text:
            raise Failure(f"{name}: {text}")
        if snapshot(folder) != before:
            raise Failure(f"{name}: --verify changed the folder")
        runs += 1
        for change in [CHANGES[(k + j) % len(CHANGES)] for j in range(2 if LONG else 1)] if not (k < 2 and not LONG) else CHANGES[k * 3:k * 3 + 3]:
            expect_found(again, folder, change, dice, name)
            found += 1
        shutil.rmtree(folder)
    return f"{runs} runs without a false alarm, {found} changed bits found"


def data_bits(scratch):
    """One bit of the data."""
    dice = random.Random(5)
    for storage in ("auto", "memory"):
        write(scratch / "x.h5", data(60))
        keys = ["model.name=linear", "inference.function=polynomial", *BASE, "optim.batch=12", "optim.tile=4", "run.precision=double", "data.source=hdf5", f"data.path={scratch / 'x.h5'}",
                "data.dataset=x", f"data.storage={storage}"]
        folder = fit(scratch / storage, *keys, ini=empty_ini(scratch))
        verify(2, folder)
        for _ in range(8 if LONG else 2):
            write(scratch / "x.h5", data(60))
            words, _ = rows(folder, dice)
            text = start(1, ["--verify", folder], expect=(DIFFERS, BAD_DATA))
            if not re.search(words, text):
                raise Failure(f"{storage}: {text}")
        write(scratch / "elsewhere.h5", data(60))
        (scratch / "x.h5").unlink()
        if "Agrees" not in verify(1, folder, f"data.path={scratch / 'elsewhere.h5'}"):
            raise Failure(f"{storage}: the data at another place are not taken")
    return "changed bits; the same rows at another place are taken"


def ranges(scratch):
    """--steps begins at the checkpoint before; a changed step outside the range does not matter, one inside does."""
    folder = fit(scratch / "run", *kind(*KINDS[1][:2]), *BASE, *KINDS[1][2:], ini=empty_ini(scratch), np=2)
    for text, words in (("11..14", "done again from step 10 "), ("6..9", "done again from step 5 "), ("3", "from the beginning"), ("12..", "steps        12 to 14")):
        if words not in verify(2, folder, "--steps", text):
            raise Failure(f"--steps {text}: not \"{words}\"")
    with h5py.File(folder / "run.h5", "r+") as file:
        flip(file, "/trace/elbo", 3, 7)
    verify(1, folder, "--steps=10..14")
    if "step 9 differs: elbo" not in verify(1, folder, "--steps=6..14", expect=DIFFERS) or "The next logged step agrees" not in verify(1, folder, expect=DIFFERS):
        raise Failure("the changed step is not named")
    for text in ("0..3", "9..8", "x", "1..", "1..x", "99"):
        if text != "1..":
            verify(None, folder, "--steps", text, expect=USAGE)
    return "four ranges, and five that are none"


def grown(scratch):
    """Runs that were stopped, went on with other ranks, longer, or with other settings."""
    keys = [*kind(*KINDS[0][:2]), *BASE, *KINDS[0][2:]]
    folder, ini = scratch / "longer", empty_ini(scratch)
    for np, steps in ((1, 7), (3, 13), (2, 20)):
        fit(folder, *keys, f"optim.steps={steps}", ini=ini, np=np)
    text = verify(2, folder)
    if "logged steps and 3 checkpoints" not in text:
        raise Failure(f"a run of three starts: {text}")
    changed = scratch / "changed"
    fit(changed, *keys, ini=ini, np=2)
    fit(changed, *keys, "optim.steps=25", "optim.learning_rate=0.002", "--resume", ini=ini, np=1)
    refused = verify(1, changed, expect=BAD_DATA)
    advice = re.search(r"use --steps (\d+\.\.\d+)", refused)
    if "other settings" not in refused or not advice or "Agrees" not in verify(2, changed, "--steps", advice.group(1)):
        raise Failure(f"a run that went on with another learning rate: {refused}")
    cosine = scratch / "cosine"
    fit(cosine, *keys, "optim.schedule=cosine", ini=ini)
    fit(cosine, *keys, "optim.schedule=cosine", "optim.steps=25", ini=ini)
    if "other settings" not in verify(1, cosine, expect=BAD_DATA):
        raise Failure("a cosine over another length is not told")
    plain = fit(scratch / "plain", *keys, "run.reproducible=no", ini=ini)
    if "use run.reproducible = yes" not in verify(1, plain, expect=BAD_DATA).lower().replace("reproducible = no", ""):
        raise Failure("a run without reproducible sums")
    with h5py.File(plain / "run.h5") as file:
        if "digest" in file:
            raise Failure("a run without reproducible sums has digests")
    if "leave these keys out" not in verify(1, folder, "optim.learning_rate=0.5", expect=USAGE):
        raise Failure("a key that changes steps is taken")
    verify(1, scratch / "nothing", expect=66)
    return "three starts on 1, 3 and 2 ranks; another rate; a longer cosine; no digests"


def damaged(scratch):
    """Bytes of a file that were changed without its checksums: named."""
    folder = fit(scratch / "run", *kind(*KINDS[1][:2]), *BASE, *KINDS[1][2:], ini=empty_ini(scratch))
    for path, dataset in ((checkpoint(folder, 5), "/state/local/value"), (folder / "run.h5", "/digest/digest"), (folder / "run.h5", "/global/theta/mean")):
        kept = path.read_bytes()
        with h5py.File(path, "r") as file:
            at = file[dataset].id.get_offset()
        content = bytearray(kept)
        content[at] ^= 16
        path.write_bytes(content)
        text = verify(1, folder, expect=BAD_DATA)
        if path.name not in text or "damaged" not in text:
            raise Failure(f"{path.name} {dataset}: {text}")
        path.write_bytes(kept)
    verify(1, folder)
    return "three datasets"


if __name__ == "__main__":
    main(same_elsewhere, data_bits, ranges, grown, damaged)
