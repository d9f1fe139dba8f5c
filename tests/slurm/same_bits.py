#!/usr/bin/env python3
"""same_bits.py FOLDER...: runs that Slurm or somebody has cut must be done, with every logged step once, and have the bits of runs that nobody disturbed, which are
made here: by the configuration that the run has left, on one rank, in one go."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import h5py

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "faults"))
import result  # noqa: E402
from job import Failure  # noqa: E402


def steps_of(folder):
    with h5py.File(folder / "run.h5", "r") as file:
        if result.text_attribute(file, "status") != "done":
            raise Failure(f"{folder} is {result.text_attribute(file, 'status')}, not done")
        return [int(s) for s in file["trace/step"][()].ravel()]


def check(folder):
    logged = steps_of(folder)
    every = int(re.search(r"(?m)^every = (\d+)", re.search(r"(?s)\[log\].*", (folder / "config.ini").read_text()).group(0)).group(1))
    wanted = sorted({1, *range(every, logged[-1] + 1, every), logged[-1]})
    if logged != wanted:
        raise Failure(f"{folder}: logged steps are missing or should not be there: {sorted(set(logged) ^ set(wanted)) or 'some twice'}")
    undisturbed = folder.with_name(folder.name + "_undisturbed")
    environment = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "AVI_STATUS_FILE")}
    done = subprocess.run([os.environ["AVI_PROGRAM"], str(folder / "config.ini"), f"run.output={undisturbed}", f"optim.steps={logged[-1]}", "run.time_limit=0", "-q"], capture_output=True,
                          text=True, stdin=subprocess.DEVNULL, env=environment)
    if done.returncode:
        raise Failure(f"the undisturbed run ended with {done.returncode}: {done.stdout}{done.stderr}")
    wrong = result.differing(result.bits(undisturbed), result.bits(folder))
    if wrong:
        raise Failure(f"{folder}: {len(wrong)} results differ from the undisturbed run: {wrong[:6]}")
    result.check_tidy(folder)
    shutil.rmtree(undisturbed)
    return f"{folder.name}: {logged[-1]} steps, {len(logged)} logged, the bits of an undisturbed run"


try:
    for name in sys.argv[1:]:
        print(check(pathlib.Path(name).resolve()))
except Failure as problem:
    sys.exit(f"FAILED: {problem}")
