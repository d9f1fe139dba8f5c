"""Plug-ins at run time: a shared object with one of every kind fits to its closed form, its keys and names are told, and what cannot be loaded is refused on all ranks."""
import os
import pathlib
import shlex
import shutil
import subprocess

import h5py
import numpy

from runs import SOURCE, Failure, expect_same_bits, fit, main, refusal, start

HERE = pathlib.Path(__file__).resolve().parent
CC = [*shlex.split(os.environ.get("AVI_CC", "cc")), "-std=c11", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{SOURCE / 'include'}"]
REACH, ROWS = 1.5, 200


def build(folder, name="libshift.so", *options):
    path = folder / name
    subprocess.run([*CC, *options, str(HERE / "shift.c"), "-o", str(path)], check=True)
    return path


def ini_of(folder, plugins, *lines):
    """Two plug-in paths of a file are relative to it."""
    path = folder / "shift.ini"
    path.write_text("\n".join([f"[run]\nplugins = {plugins}\nprecision = double", f"[model]\nname = shift\nreach = {REACH}", "[inference]\nfunction = slope\nfamily = normal",
                               "[objective]\nname = bound\ndraws = 0", f"[data]\nsource = wave\nrows = {ROWS}", "[optim]\nmethod = lbfgs\nbatch = 0\nsteps = 60\n", *lines]))
    return path


def kinds(scratch):
    """A fit with a model, an inference function, a family, an objective and a source of a plug-in has the evidence of its closed form as ELBO, the same bits on 1 and 3 ranks; it
    resumes where the plug-in has moved, and is a run of a sweep."""
    build(scratch)
    ini = ini_of(scratch, "libshift.so", "[run]")
    ini.write_text(ini.read_text().replace("[run]\nplugins", "[run]\nreproducible = yes\nplugins", 1).rsplit("[run]", 1)[0])
    one = fit(scratch / "one", ini=ini)
    x = 2 * numpy.sin(numpy.arange(ROWS))
    v = 1 + REACH**2
    want = float(numpy.mean(-0.5 * numpy.log(2 * numpy.pi * v) - (x - x.mean()) ** 2 / (2 * v)))
    with h5py.File(one / "run.h5") as file:
        got, theta = float(file["/trace/elbo_per_row"][-1]), float(file["/global/theta/mean"][()].ravel()[0])
        effective = file["/config/effective"][()].decode()
    if not abs(got - want) < 1e-7 or not abs(theta - x.mean()) < 1e-4:
        raise Failure(f"ELBO {got:.9f} nats per row, closed form {want:.9f}; theta {theta:.6f}, mean of the rows {x.mean():.6f}")
    if f"plugins = {scratch}/libshift.so" not in effective:
        raise Failure("the effective configuration does not name the plug-in by its absolute path")
    three = fit(scratch / "three", ini=ini, np=3)
    expect_same_bits(one, three, "1 and 3 ranks")
    (scratch / "moved").mkdir()
    shutil.move(str(scratch / "libshift.so"), str(scratch / "moved" / "libshift.so"))
    moved = f"run.plugins={scratch}/moved/libshift.so"
    text = start(None, [ini, moved, f"run.output={one}"])
    if "resumed" not in text:
        raise Failure(f"a run did not resume with the plug-in at its new place:\n{text}")
    start(None, [ini, "-q", moved, f"run.output={scratch / 'sweep'}", "--sweep", "model.reach=0.5|1"])
    rows = (scratch / "sweep" / "sweep.csv").read_text().splitlines()
    if len(rows) != 3:
        raise Failure(f"a sweep of 2 runs has a table of {len(rows)} lines")
    ini.write_text(ini.read_text().replace("libshift.so", "moved/libshift.so"))
    text = start(None, [ini, "-q", "--sweep", "run.plugins=a.so|b.so"], expect=(78,))
    if "run.plugins" not in (refusal(text) or ""):
        raise Failure(f"a sweep over plug-ins: {text}")
    return f"ELBO {got - want:+.1e} nats per row from the closed form"


def told(scratch):
    """--list and --help-keys have the plug-in's names and keys, from a file and from the command line."""
    path = build(scratch)
    for how in ([f"run.plugins={path}"], [ini_of(scratch, "libshift.so")]):
        keys, names = start(None, ["--help-keys", *how]), start(None, ["--list", *how])
        if "reach = 1" not in keys or "with [model] name = shift" not in keys or "with [data] source = wave" not in keys:
            raise Failure("--help-keys has no keys of the plug-in")
        for name in ("shift", "slope", "normal", "bound", "wave"):
            if f"\n  {name} " not in names:
                raise Failure(f"--list has no {name}")
    if "shift" in start(None, ["--help-keys"]):
        raise Failure("--help-keys has keys of a plug-in that nobody asked for")
    return "5 names and their keys"


WRONG = [  # compiler options or a path, what the message says
    (["-DABI=99"], "was compiled for ABI 99"),
    (["-DOTHER_SIZE"], "avi_model_ops has"),
    (["-DNO_MARK"], "is no plug-in"),
    (["-DNO_ENTRY"], "no plug-in of avi_mpi"),
    (["-DTAKEN"], "the name vae is taken"),
    (["-DKEYS"], "[model] global"),
    (["-DADD=0"], "shift has no licence"),
    (["-DADD=1"], "add failed without a message"),
    (["-DCREATE=0"], "shift cannot be made today; use 2"),
    (["-DCREATE=1"], "create of shift failed without a message"),
    (["-DUNDEFINED"], "avi_no_such_function"),
    ("nowhere.so", "No such file"),
    ("shift.ini", "cannot be loaded"),
    (".", "is a directory"),
    ("good.so,", "has a comma without a path"),
    ("good.so, good.so", "the name shift is taken"),
]


def refused(scratch):
    """Every mistake has its message and exit status 78, on 3 ranks as on one."""
    build(scratch, "good.so")
    for i, (options, words) in enumerate(WRONG):
        name = options if isinstance(options, str) else build(scratch, f"wrong{i}.so", *options).name
        text = start(3 if i in (0, 8, 11) else None, [ini_of(scratch, name), "-q", f"run.output={scratch / 'out'}"], expect=(78,))
        message = refusal(text) or ""
        if words.lower() not in message.lower() or ("plugins" not in message and "CREATE" not in str(options)):
            raise Failure(f"{options}: expected '{words}', the message is '{message}'")
        if text.count("avi_mpi: error") != 1:
            raise Failure(f"{options}: {text.count('avi_mpi: error')} messages")
    name = build(scratch, "number.so", "-DCREATE=2").name
    text = start(None, [ini_of(scratch, name), "-q", f"run.output={scratch / 'out'}"], expect=(70,))
    if "returned 99, which is no avi_status" not in (refusal(text) or ""):
        raise Failure(f"create returns 5: {text}")
    return f"{len(WRONG) + 1} mistakes"


main(kinds, told, refused)
