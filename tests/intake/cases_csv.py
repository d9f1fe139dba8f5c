"""CSV through analysis/csv2h5.py: names, decimal commas, codes of missing values."""
import os
import subprocess
import sys

import numpy

from small_runs import SOURCE


def convert(c, text, *arguments, name="t.csv"):
    (c.folder / name).write_text(text)
    done = subprocess.run([sys.executable, os.path.join(SOURCE, "analysis", "csv2h5.py"), c.folder / name, c.folder / "d.h5", *arguments], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def case_names_and_missing(c):
    """A table with an id, a label, two codes of missing values and a byte order mark."""
    lines = ["\ufeffid,label,age,weight"] + [f"{i},a{i % 3},{'NA' if i == 3 else 20 + i},{-999 if i == 5 else i / 7}" for i in range(40)]
    code, said = convert(c, "\n".join(lines), "--missing=-999")
    assert code == 0 and "40 rows of 3 columns, 2 values are missing: data.missing = mask" in said and "label (line 2: 'a0')" in said, said
    c.run().ends(65, "NaN", "2 of 120 values in 2 rows", "data.missing = mask")
    run = c.run("data.columns=weight, age", "data.missing=mask").good("2 of 80 values are missing")
    assert run.read("/data/columns") == b"weight\nage"
    assert abs(run.read("/data/largest")[1] - 59) < 1e-9 and abs(run.read("/data/smallest")[0]) < 1e-12


def case_decimal_comma(c):
    """Semicolons between columns, commas in numbers, no names."""
    code, said = convert(c, "\n".join(f"{i},5;{i}" for i in range(30)))
    assert code == 0, said
    with c.file() as file:
        assert numpy.array_equal(file["x"][()], numpy.column_stack([numpy.arange(30) + 0.5, numpy.arange(30)])) and list(file["x"].attrs["columns"]) == ["c0", "c1"]
    c.run("data.columns=c1").good("30 rows of 1 value")


def case_refused(c):
    assert "line 3 has 1 values, 2 columns are named" in convert(c, "a,b\n1,2\n3\n")[1]
    assert "no column has numbers alone" in convert(c, "a\nx\ny\n")[1]
    assert convert(c, "")[0] != 0
