"""Proofs: contracts (Frama-C WP) and models (Spin).  See docs/development.md.

usage: run.py [--contracts | --models | --mutants]
       none: contracts and models; --mutants: every planted fault must be seen
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path("test/prove")

# Sources whose contracts are proved, and how long a prover may take for a goal.
MODULES = ["src/base/num.c", "src/policy/backoff.c", "src/policy/budget.c",
           "src/policy/eject.c", "src/policy/health.c", "src/policy/retry.c",
           "test/prove/theorems.c"]
GOAL_SECONDS = 20
MUTANT_SECONDS = 2  # a goal that a fault breaks takes all of it
MODULE_SECONDS = 900

# Models, the planted faults in each, and larger ones for `--mutants`.
MODELS = {"queue": 6, "rotation": 6, "snapshot": 6}
LARGER = [("rotation", ["-DUPDATES=3"]), ("queue", ["-DSLOTS=2"]),
          ("snapshot", ["-DRELOADS=1", "-DREQUESTS=3"])]
MODEL_SECONDS = 100
MODEL_MB = 1500

FUNCTION = re.compile(r"^([a-z_0-9]+)\(", re.M)
PROVED = re.compile(r"Proved goals: +(\d+) / (\d+)")


def provers(home):
    """A Why3 configuration of its own: nothing is written to the real HOME."""
    env = dict(os.environ, HOME=str(home))
    subprocess.run(["why3", "config", "detect"], env=env, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return env


def frama_c(tree, source, functions, seconds, env):
    """(proved, goals, output); no goals when Frama-C itself failed."""
    command = ["frama-c", "-machdep", "gcc_x86_64",
               "-cpp-extra-args=-Iinclude -D_GNU_SOURCE -include test/prove/frama.h",
               "-wp", "-wp-rte", "-wp-fct", ",".join(functions),
               "-wp-prover", "cvc4,z3", "-wp-timeout", str(seconds),
               "-wp-par", str(os.cpu_count()), source]
    # Frama-C resolves paths against PWD, whatever the directory really is.
    env = dict(env, PWD=str(tree))
    try:
        run = subprocess.run(command, cwd=tree, env=env, text=True, check=False,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             timeout=MODULE_SECONDS)
    except subprocess.TimeoutExpired as late:
        return 0, 0, f"{source}: more than {late.timeout} s"
    found = PROVED.findall(run.stdout)
    if run.returncode != 0 or not found:
        return 0, 0, run.stdout
    return int(found[-1][0]), int(found[-1][1]), run.stdout


def functions_of(path):
    return sorted(set(FUNCTION.findall(path.read_text())))


def prove_contracts(env):
    good = True
    for source in MODULES:
        proved, goals, out = frama_c(ROOT, source, functions_of(ROOT / source),
                                     GOAL_SECONDS, env)
        name = source.removeprefix("src/").removesuffix(".c")
        if goals > 0 and proved == goals:
            print(f"{name}: {goals} goals proved", flush=True)
            continue
        good = False
        print(f"{name}: FAILED, {proved} of {goals} goals proved", flush=True)
        lines = out.splitlines() if goals == 0 else [
            line for line in out.splitlines() if "[Failed]" in line]
        print("\n".join("    " + line for line in lines[-40:]))
    return good


def spin(name, flags):
    """(errors or None, states, output)"""
    with tempfile.TemporaryDirectory(prefix="evenkeel-") as where:
        shutil.copy(ROOT / HERE / f"{name}.pml", where)
        out = ""
        for command in (["spin", *flags, "-a", f"{name}.pml"],
                        ["gcc", "-O2", "-w", "-DSAFETY", "-DCOLLAPSE",
                         f"-DMEMLIM={MODEL_MB}", "-o", "pan", "pan.c"],
                        ["./pan", "-m1000000"]):
            try:
                run = subprocess.run(command, cwd=where, text=True, check=False,
                                     stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, timeout=MODEL_SECONDS)
            except subprocess.TimeoutExpired as late:
                return None, 0, f"{out}{name}: more than {late.timeout} s"
            out += run.stdout
        errors = re.search(r"errors: (\d+)", out)
        states = re.search(r"(\d+) states, stored", out)
        # Cut short by a limit, a search has shown nothing.
        cut = "max search depth too small" in out or "Search not completed" in out
        if errors is None or (errors[1] == "0" and cut):
            return None, 0, out
        return int(errors[1]), int(states[1]) if states else 0, out


def check_models(variants):
    good = True
    for name, flags in variants:
        errors, states, out = spin(name, flags)
        label = " ".join([f"model {name}", *flags])
        if errors == 0:
            print(f"{label}: holds in all {states} states", flush=True)
        else:
            good = False
            print(f"{label}: FAILED\n{out}", flush=True)
    return good


def model_faults():
    good = True
    for name, faults in MODELS.items():
        for fault in range(1, faults + 1):
            errors, _, out = spin(name, [f"-DFAULT_{fault}"])
            if errors:
                continue
            good = False
            print(f"model {name}: FAULT_{fault} was not seen\n{out}", flush=True)
        print(f"model {name}: {faults} planted faults seen", flush=True)
    return good


def mutants():
    """(path, functions, sed expression) of each line of the list."""
    for line in (ROOT / HERE / "mutants").read_text().splitlines():
        if line and not line.startswith("#"):
            path, functions, expression = line.split(None, 2)
            yield path, functions.split(","), expression


def seen(path, functions, expression, env):
    """What is wrong, or None: the fault makes a goal fail."""
    with tempfile.TemporaryDirectory(prefix="evenkeel-") as where:
        tree = pathlib.Path(where)
        for part in ("src", "include", HERE):
            shutil.copytree(ROOT / part, tree / part)
        before = (tree / path).read_text()
        subprocess.run(["sed", "-i", expression, path], cwd=tree, check=True)
        if (tree / path).read_text() == before:
            return "changes nothing"
        proved, goals, out = frama_c(tree, path, functions, MUTANT_SECONDS, env)
        if goals == 0:
            return "is no C:\n" + out
        return "was not seen" if proved == goals else None


def contract_faults(env):
    count, good = 0, True
    for path, functions, expression in mutants():
        problem = seen(path, functions, expression, env)
        count += 1
        if problem is not None:
            good = False
            print(f"{path}: {expression}: {problem}", flush=True)
    print(f"contracts: {count} planted faults tried", flush=True)
    return good


def main(args):
    if args not in ([], ["--contracts"], ["--models"], ["--mutants"]):
        sys.exit(__doc__)
    good = True
    with tempfile.TemporaryDirectory(prefix="evenkeel-") as home:
        if args != ["--models"]:
            env = provers(home)
        if args in ([], ["--contracts"]):
            good = prove_contracts(env)
        if args in ([], ["--models"]):
            good = check_models([(name, []) for name in MODELS]) and good
            good = model_faults() and good
        if args == ["--mutants"]:
            good = contract_faults(env)
            good = check_models(LARGER) and good
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
