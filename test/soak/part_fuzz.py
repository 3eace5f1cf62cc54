"""Every fuzz target, for minutes."""
import re
import subprocess

from soaklib import ROOT

SECONDS = 120


def run(report, options):
    seconds = options.seconds or SECONDS
    p = subprocess.run(["./dev", "fuzz", str(seconds)], cwd=ROOT, text=True, check=False,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    names = re.findall(r"^dev: fuzzing (\S+) for", p.stdout, re.M)
    runs = re.findall(r"^stat::number_of_executed_units:\s*(\d+)", p.stdout, re.M)
    for name, n in zip(names, runs):
        report.note(f"{name}: {int(n):,} inputs")
    report.check("no target found anything", p.returncode == 0 and names,
                 f"{len(names)} targets, {seconds} s each" if p.returncode == 0
                 else p.stdout[-4000:])
