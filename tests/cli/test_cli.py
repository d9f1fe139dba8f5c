#!/usr/bin/env python3
"""The command: options, overrides, keys, mistakes, exit statuses. (The files of inputs/ are held against it in tests/inputs.)"""
import calendar
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import h5py

from bad_input import INI
from cli import PROGRAM, SOURCE, run


def case_help(folder):
    for option in ("--help", "-h"):
        run(1, option).good("usage: mpirun", "--dry-run", "--resume", r"75 +stopped")
    assert run(3, "--help").good().out.count("usage:") == 1, "one rank speaks"


def case_version(folder):
    run(1, "--version").good(r"^avi_mpi \d+\.\d+\.\d+\n", r"revision +\S", r"compiler +\S", r"MPI +\S", r"HDF5 +\d", r"BLAS +\S", r"ScaLAPACK +\d", r"oneDNN +(\d|none)")


def case_list(folder):
    """Everything that is registered, with a line on what it is."""
    out = run(1, "--list").good().out
    for name in re.findall(r"^AVI_\w+\((\w+)\)", (SOURCE / "include/avi/registry.def").read_text(), re.M):
        assert re.search(rf"^  {name} +\S.{{10}}", out, re.M), f"{name} is not in --list:\n{out}"


def case_help_keys(folder):
    out = run(1, "--help-keys").good(r"^\[run\]", "learning_rate", r"\[checkpoint\]").out
    one = run(1, "--help-keys=optim").good(r"^\[optim\]", r"batch = \d+", "integer, 0 ..", "rows").out
    assert one.strip() in out and "[run]" not in one
    documented = re.findall(r"^  (\w+) = ", one, re.M)
    assert len(documented) > 10 and len(re.findall(r"^      \S", one, re.M)) == len(documented), "a line of meaning for each key"
    unknown = run(1, "--help-keys=optm")
    unknown.must("did you mean optim?" in unknown.out + unknown.err, "the closest section is named")


def case_usage(folder):
    ini = folder / "good.ini"
    for ranks in (1, 3):
        run(ranks).refused(64, "no configuration file", "--help")
        run(ranks, "--dry-rum", ini).refused(64, r"--dry-rum: unknown option; did you mean --dry-run\?")
        run(ranks, "-z", ini).refused(64, "-z: unknown option")
        run(ranks, ini, ini).refused(64, "second configuration file")
        run(ranks, ini, "--resume", "--fresh").refused(64, "use one of them")


def case_singletons(folder):
    """srun that does not tell the MPI library of the others starts as many runs as processes: refused by each, said by one."""
    step = {"SLURM_STEP_NUM_TASKS": "4", "OMPI_COMM_WORLD_SIZE": "", "PMI_SIZE": ""}
    for process, words in (("0", "srun started 4 processes, and each is alone"), ("3", "")):
        done = subprocess.run([PROGRAM, SOURCE / "inputs" / "vae.ini", f"run.output={folder / 'alone'}"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              env=dict(os.environ, **step, SLURM_PROCID=process))
        if done.returncode != 64 or words not in done.stderr or (not words and done.stderr) or (folder / "alone").exists():
            raise AssertionError(f"process {process} of 4 that are alone: {done.returncode}, {done.stderr}")


def case_paths_and_keys(folder):
    """A path may hold =, as the folders of a sweep's runs do; of two equal keys on the command line the last one wins."""
    odd = folder / "run.seed=1" / "config.ini"
    odd.parent.mkdir()
    odd.write_text((folder / "good.ini").read_text())
    run(2, "--dry-run", odd, "optim.steps=9", "optim.steps=2").good(r"steps +2 ")
    (folder / "a=b").write_text(odd.read_text())
    run(1, "--dry-run", "a=b", "optim.steps=2", cwd=folder).good(r"steps +2 ")
    run(1, "--dry-run", folder / "none=1" / "a.ini").refused(66, "no such configuration file")


def case_mistakes(folder):
    """All mistakes of the file and of the command line at once, with their lines and what to use."""
    bad = folder / "bad.ini"
    bad.write_text("[run]\nprecision = singel\nseed = -3\n\n[optim]\nlerning_rate = 1e-3\nbatch = many\n[modle]\nname = vae\n[data]\nsource = strokes\n[optim]\nbatch = 4\n")
    for ranks in (1, 3):
        found = run(ranks, bad, "log.evry=3", "optim.epochs=1.5").refused(78).message()
        for words in (r"bad\.ini:2: \[run\] precision.*singel.*single \| double", r"bad\.ini:3: \[run\] seed", r"bad\.ini:6: \[optim\] lerning_rate: unknown key; did you mean learning_rate\?",
                      r"bad\.ini:7: \[optim\] batch.*many.*integer", r"bad\.ini:8: \[modle\].*did you mean model\?", r"command line: \[log\] evry: unknown key; did you mean every\?",
                      r"command line: \[optim\] epochs.*1\.5"):
            assert re.search(words, found), f"/{words}/ expected\n{found}"


def case_dry_run(folder):
    """The plan, and nothing written."""
    before = sorted(folder.rglob("*"))
    for ranks in (1, 3):
        run(ranks, "--dry-run", folder / "good.ini").good(r"8 lanes", r"tiles of 8 rows", r"rank", r"checkpoint takes \d", r"time +[\d.]+ m?s a step", r"theta +\d+ values", "Nothing was written")
    assert sorted(folder.rglob("*")) == before, "a dry run wrote something"
    run(2, "--dry-run", folder / "good.ini", "optim.batch=100000").refused(78, "batch")


# The images of inputs/vae.ini: kinks of relu within the first step of differences, and an ELBO whose rounding hides a small gradient.
VAE_GRADIENTS = (["data.rows=5000"], ["data.rows=200"], ["data.rows=200", "run.precision=double"])


def case_check_gradient(folder):
    before = sorted(folder.rglob("*"))
    for function in ("mlp", "factorized"):
        run(2, "--check-gradient", folder / "good.ini", "run.precision=double", f"inference.function={function}").good("largest relative error")
    for settings in VAE_GRADIENTS:
        run(1, "--check-gradient", SOURCE / "inputs/vae.ini", "data.test_rows=100", "optim.batch=200", *settings).good("largest relative error")
    assert sorted(folder.rglob("*")) == before, "a gradient check wrote something"


def metrics(output):
    return (output / "metrics.csv").read_text().splitlines()


def case_run(folder):
    """Overrides win; quiet is quiet; the effective configuration says where values came from and runs again as the same run."""
    ini, a, b = folder / "good.ini", folder / "a", folder / "b"
    before = time.time()
    quiet = run(2, "-q", ini, f"run.output={a}", "optim.steps=5", "log.every=1", "run.reproducible=yes").good()
    after = time.time()
    quiet.must(not quiet.out, "-q prints nothing")
    assert len(metrics(a)) == 6, "five steps and a header"
    text = (a / "config.ini").read_text()
    assert re.search(r"^steps = 5 +; command line", text, re.M) and re.search(r"^latent = 2 +; .*good\.ini:\d+", text, re.M), text
    with h5py.File(a / "run.h5", "r") as file:
        names = {"format", "format_version", "status", "why_stopped"}
        assert names <= set(file.attrs), f"{names - set(file.attrs)} missing"
        assert {"version", "git_revision", "compiler", "ranks", "started_at", "argv", "seed"} <= set(file["provenance"].attrs), sorted(file["provenance"].attrs)
        host, started = (value.decode() if isinstance(value, bytes) else value for value in (file["provenance"].attrs[name] for name in ("hosts", "started_at")))
        assert host and "," not in host, f"the ranks of one host: {host}"
        assert before - 1 <= calendar.timegm(time.strptime(started, "%Y-%m-%dT%H:%M:%SZ")) <= after, f"started at {started}"
    # At another rank count, in a folder of its own, by its own config.ini.
    loud = run(3, "-v", a / "config.ini", f"run.output={b}").good("results", "metrics.csv", "ELBO")
    with h5py.File(a / "run.h5", "r") as x, h5py.File(b / "run.h5", "r") as y:
        for name in ("trace/elbo", "trace/grad_norm"):
            assert x[name][()].tobytes() == y[name][()].tobytes(), f"{name} differs\n{loud}"


def case_resume(folder):
    """--resume goes on, --fresh does not, a run that is done is left as it is."""
    ini, out = folder / "good.ini", folder / "r"
    run(2, ini, f"run.output={out}", "optim.steps=4", "log.every=1").good()
    run(1, ini, f"run.output={out}", "optim.steps=6", "log.every=1", "--resume").good("resumed +at step 4")
    assert [line.split(",")[0] for line in metrics(out)[1:]] == list("123456")
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    for ranks, steps in ((1, 6), (3, 4)):
        run(ranks, ini, f"run.output={out}", f"optim.steps={steps}", "log.every=1").good("done already", "after 6 steps", "--fresh")
    assert before == {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}, "a run that is done was touched"
    again = run(3, ini, f"run.output={out}", "optim.steps=2", "log.every=1", "--fresh").good()
    again.must("resumed" not in again.out, "--fresh does not go on")
    assert [line.split(",")[0] for line in metrics(out)[1:]] == list("12")


def case_plans(folder):
    """What cannot be done is refused by --dry-run too; more steps than a checkpoint can number."""
    ini = folder / "good.ini"
    run(2, ini, "--dry-run", "run.task=exact").refused(78, r"good\.ini:\d+", "exact")
    run(1, ini, "--dry-run", "run.task=exact", "model.name=linear", "data.source=model", "data.rows=64").good("Nothing was written")
    run(2, ini, "--dry-run", "optim.steps=1000000000").refused(78, "steps")
    run(2, ini, "--dry-run", "optim.steps=0", "optim.epochs=1000000000").refused(78, "epochs", "999999999")


def case_paths(folder):
    """Paths of a file are relative to it, run.output to where the command runs; ${NAME} is an environment variable."""
    place, where = folder / "place", folder / "where"
    place.mkdir()
    where.mkdir()
    with h5py.File(place / "rows.h5", "w") as file:
        file["x"] = [[float(i), 1.0] for i in range(64)]
    (place / "own.ini").write_text(INI.format(output="here/${AVI_TEST_NAME}").replace("source = strokes\nrows = 256", "source = hdf5\npath = rows.h5")
                                   .replace("name = vae", "name = vae\nlikelihood = gaussian"))
    run(2, place / "own.ini", cwd=where, environment={"AVI_TEST_NAME": "named"}).good()
    assert (where / "here" / "named" / "run.h5").exists()
    run(2, place / "own.ini", cwd=where).refused(78, r"own\.ini:\d+", "AVI_TEST_NAME")


def main():
    wanted, failed = sys.argv[1:], 0
    for name, case in sorted((n[5:], f) for n, f in globals().items() if n.startswith("case_")):
        if wanted and name not in wanted:
            continue
        with tempfile.TemporaryDirectory(prefix="avi_cli_") as folder:
            folder = pathlib.Path(folder)
            (folder / "good.ini").write_text(INI.format(output=folder / "out"))
            try:
                case(folder)
                print("good  ", name, flush=True)
            except Exception as problem:
                failed += 1
                print("FAILED", name, type(problem).__name__, problem, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
