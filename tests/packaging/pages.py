"""The manual page has every option, name and key that the program has and passes the checkers of manual pages; bash completes what the program takes."""
import os
import re
import shutil
import subprocess

from runs import SOURCE, Failure, main, start

PAGE = SOURCE / "cmake" / "packaging" / "avi_mpi.1"
COMPLETION = SOURCE / "cmake" / "packaging" / "avi_mpi.bash"
UTF8 = dict(os.environ, LC_ALL="C.UTF-8", MANWIDTH="200")


def run(*command, text=None, **options):
    return subprocess.run([str(c) for c in command], input=text, capture_output=True, text=True, timeout=60, **options)


def plain():
    """The page as it is read, without the marks of bold text."""
    done = run("man", "-l", PAGE, env=UTF8)
    if done.returncode:
        raise Failure(f"man: {done.stderr}")
    return re.sub(".\b", "", done.stdout).replace("\u2010", "-").replace("\u2212", "-")


def everything(scratch):
    """Every line of --help, --list and --help-keys is in the page: names, and the words of what is said of them."""
    if not shutil.which("man"):
        return "not checked: man is not here"
    page = plain()
    words = set(re.findall(r"\S+", page))
    options = re.findall(r"^  (-\S+?)(?:[ \[=]|$)", start(None, ["--help"]), re.M)
    keys = re.findall(r"^  (\S+) = ?(.*?) +\((.*)\)$", start(None, ["--help-keys"]), re.M)
    names = re.findall(r"^  (\S+) +(.*)$", start(None, ["--list"]), re.M)
    statuses = re.findall(r"^  (\d+) +(.*)$", start(None, ["--help"]), re.M)
    if min(len(options) - 15, len(keys) - 140, len(names) - 30, len(statuses) - 10) < 0:
        raise Failure(f"{len(options)} options, {len(keys)} keys, {len(names)} names, {len(statuses)} statuses were found: the forms of --help have changed")
    flat = re.sub(r"\s+", " ", page)
    missing = [name for name in options if not re.search(rf"^ +{re.escape(name)}\b", page, re.M)]
    missing += [name for name, value, kind in keys if re.sub(r"\s+", " ", f"{name} = {value} ({kind})" if value else f"{name} = ({kind})") not in flat]
    missing += [name for name, doc in names if name not in words]
    missing += [number for number, doc in statuses if f" {number} {doc}" not in flat]
    if missing:
        raise Failure(f"not in the page: {missing}")
    return f"{len(options)} options, {len(keys)} keys, {len(names)} names, {len(statuses)} statuses"


def checkers(scratch):
    """man --warnings and mandoc -Tlint have nothing to say; a page with a mistake shows that they look."""
    said = []
    wrong = scratch / "wrong.1"
    wrong.write_text(PAGE.read_text() + ".SH WRONG\n.nosuchmacro\n\\fBno end\n.TP\n")
    for name, command in (("man", ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]), ("mandoc", ["mandoc", "-Tlint"])):
        if not shutil.which(name):
            said.append(f"{name} is not here")
            continue
        texts = [(lambda done: done.stderr + (done.stdout if name == "mandoc" else ""))(run(*command, path, env=UTF8)) for path in (PAGE, wrong)]
        if texts[0].strip():
            raise Failure(f"{name}:\n{texts[0][:1500]}")
        if "nosuchmacro" not in texts[1]:
            raise Failure(f"{name} does not see a macro that does not exist:\n{texts[1][:500]}")
        said.append(name)
    return ", ".join(said)


def complete(folder, line, breaks=None):
    """What bash offers for the word at the end of the line, with the part of the word that stays before it."""
    script = f"""
source {COMPLETION}
{'COMP_WORDBREAKS=' + breaks if breaks is not None else ''}
COMP_LINE=$1 COMP_POINT=${{#1}} COMP_WORDS=($1) COMP_CWORD=${{#COMP_WORDS[@]}}
function=$(complete -p avi_mpi | sed 's/.*-F \\([^ ]*\\).*/\\1/')
"$function" avi_mpi
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = run("bash", "--norc", "-c", script, "bash", line, cwd=folder, env=dict(os.environ, COMP_WORDBREAKS=" \t\n\"'><=;|&(:"))
    if done.returncode or done.stderr:
        raise Failure(f"completion of {line!r}: {done.stderr}")
    return done.stdout.split()


def completion(scratch):
    """Options, sections, keys, values of choices and of yes or no, files; the words are those of the program."""
    (scratch / "vae.ini").write_text("")
    (scratch / "notes.txt").write_text("")
    (scratch / "train.h5").write_text("")
    (scratch / "runs").mkdir()
    options = re.findall(r"^  (-\S+?)(?:[ \[=]|$)", start(None, ["--help"]), re.M)
    keys = start(None, ["--help-keys"])
    sections = re.findall(r"^\[(\S+)\]", keys, re.M)
    tasks = re.search(r"^  task = \S+ +\(choice: (.*)\)", keys, re.M).group(1).split(" | ")
    functions = re.search(r"^  function = \S+ +\(choice: (.*)\)", keys, re.M).group(1).split(" | ")
    whole = {f"{m.group(1)}.{name}=" for m in re.finditer(r"^\[(\S+)\]$(.*?)(?=^\[|\Z)", keys, re.M | re.S) for name in re.findall(r"^  (\S+) = ?.*\(", m.group(2), re.M)}
    expected = [
        ("avi_mpi --", {o for o in options if o.startswith("--")}),
        ("avi_mpi --dr", {"--dry-run"}),
        ("avi_mpi --help-keys=", set(sections)),
        ("avi_mpi --help-keys=op", {"optim"}),
        ("avi_mpi --list=", {"data"}),
        ("avi_mpi --reference=b", {"bash"}),
        ("avi_mpi --sweep ", set()),
        ("avi_mpi ", {f"{s}." for s in sections} | {"vae.ini", "runs"}),
        ("avi_mpi v", {"vae.ini"}),
        ("avi_mpi vae.ini ", {f"{s}." for s in sections}),
        ("avi_mpi vae.ini mo", {"model."}),
        ("avi_mpi vae.ini optim.learning_r", {"optim.learning_rate="}),
        ("avi_mpi vae.ini optim.learning_rate=", set()),
        ("avi_mpi vae.ini run.task=", set(tasks)),
        ("avi_mpi vae.ini run.task=e", {t for t in tasks if t.startswith("e")}),
        ("avi_mpi vae.ini run.seed=1 inference.function=", set(functions)),
        ("avi_mpi vae.ini run.reproducible=", {"yes", "no"}),
        ("avi_mpi vae.ini data.path=tr", {"train.h5"}),
        ("avi_mpi vae.ini run.plugins=train.h5,not", {"train.h5,notes.txt"}),
        ("avi_mpi --status ru", {"runs"}),
        ("avi_mpi --status runs vae", set()),
        ("/some/where/avi_mpi vae.ini run.precision=d", {"double"}),
        ("mpirun -n 4 avi_mpi vae.ini run.precision=d", {"double"}),
    ]
    for section in sections:
        expected.append((f"avi_mpi vae.ini {section}.", {name for name in whole if name.startswith(f"{section}.")}))
    for line, words in expected:
        found = complete(scratch, line)
        if set(found) != words or len(found) != len(set(found)):
            raise Failure(f"{line!r}: {found}, expected {sorted(words)}")
    # Where = breaks no words, the reply is all of the word.
    if complete(scratch, "avi_mpi vae.ini run.precision=d", "' '") != ["run.precision=double"]:
        raise Failure(f"without = in COMP_WORDBREAKS: {complete(scratch, 'avi_mpi vae.ini run.precision=d', chr(39) + ' ' + chr(39))}")
    return f"{len(expected) + 1} lines, {len(whole)} keys"


def refused(scratch):
    """What is unknown behind the = of an option is refused with what to use."""
    for option, advice in (("--reference=fish", "use --reference=man or =bash"), ("--list=keys", "use --list=data")):
        said = start(None, [option], expect=(64,))
        if advice not in said:
            raise Failure(f"{option}: {said}")
    return "2 refusals"


if __name__ == "__main__":
    main(everything, checkers, completion, refused)
