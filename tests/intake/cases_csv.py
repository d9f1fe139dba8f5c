"""CSV through analysis/csv2h5.py: names, decimal commas, codes of missing values."""
import os
import subprocess
import sys

import h5py
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
    assert "is empty" in convert(c, "")[1] and "is empty" in convert(c, "\n\n")[1]
    code, said = convert(c, "a,note\n1,\"two\nlines\"\n2,x\n")  # a line break in quotes is a part of its value
    assert code == 0 and "2 rows of 1 columns" in said, said
    (c.folder / "latin.csv").write_bytes(b"gr\xf6\xdfe\n1\n")
    for name, words in (("latin.csv", "iconv -f latin1"), ("none.csv", "No such file")):
        done = subprocess.run([sys.executable, os.path.join(SOURCE, "analysis", "csv2h5.py"), c.folder / name, c.folder / "d.h5"], capture_output=True, text=True)
        assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr, done.stderr


def case_names_with_commas(c):
    """Names of columns are picked in double quotes, are in the messages about values, and the advice for columns in another place works as it is printed."""
    values = numpy.random.default_rng(4).normal(size=(30, 3))
    lines = ['id,"age, years",height,"a ""b"", c"'] + [f"{i}," + ",".join(f"{v:.6f}" for v in row) for i, row in enumerate(values)]
    code, said = convert(c, "\n".join(lines))
    assert code == 0, said
    run = c.run('data.columns="age, years", height').good("30 rows of 2 values")
    assert run.read("/data/columns") == b"age, years\nheight"
    c.run("data.columns=age, years").ends(65, "age is none of its columns")
    turned = ['height,extra,"age, years"'] + [f"{a:.6f},1,{b:.6f}" for b, a, _ in values]
    (c.folder / "d.h5").rename(c.folder / "first.h5")
    convert(c, "\n".join(turned))
    said = c.run("run.task=encode", "data.path=d.h5", "data.columns=0, 2", ini=run.folder).ends(65, "column 0 .from 0. is 'height', and 'age, years' in the fit")
    advised = said.text.split("'data.columns=")[1].split("'")[0]
    with h5py.File(c.run("run.task=encode", "data.path=d.h5", f"data.columns={advised}", ini=run.folder).good().folder / "rows.h5") as a, \
            h5py.File(c.run("run.task=encode", "data.path=first.h5", ini=run.folder).good().folder / "rows.h5") as b:
        assert numpy.array_equal(a["mean"][()], b["mean"][()])
    lines[7] = "6,1,,3"
    convert(c, "\n".join(lines))
    c.run().ends(65, r"row 6, column 2 \(both from 0; height\) is NaN")
    c.run("run.task=encode", "data.path=d.h5", 'data.columns="age, years", height', ini=run.folder).ends(65, r"row 6, column 1 \(both from 0; height\) is NaN, and the fit had no missing values")
