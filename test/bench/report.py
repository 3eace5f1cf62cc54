"""The results as a table on the terminal, as JSON, and in docs/benchmarks.md."""
import dataclasses
import datetime
import json
import os
import platform
import re
import subprocess

import servers
import space
from servers import OUT, ROOT

DOCUMENT = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results: written by ./dev bench -->\n", "<!-- end of results -->\n"
HEADS = ("what", "value", "against", "its value", "ratio", "must", "aim", "noise", "verdict")


def output(*command):
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return (run.stdout + run.stderr).strip()


def first(pattern, text):
    m = re.search(pattern, text)
    return m.group(1) if m else "unknown"


def surroundings():
    cpu = first(r"model name\s*:\s*(.*)", open("/proc/cpuinfo", encoding="utf-8").read())
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": output("git", "describe", "--always", "--dirty", "--exclude=*"),
        "evenkeel": first(r"evenkeel (\S+)", output("build/release/evenkeel", "--version")),
        "nginx": first(r"nginx/(\S+)", output("nginx", "-v")),
        "haproxy": first(r"version (\S+)", output("haproxy", "-v")),
        "wrk": first(r"wrk (\S+)", output("wrk", "-v")),
        "nghttp2": first(r"nghttp2/(\S+)", output("h2load", "--version")),
        "libevent": output("dpkg-query", "-W", "-f", "${Version}", "libevent-core-2.1-7"),
        "compiler": output("cc", "--version").split("\n", maxsplit=1)[0],
        "kernel": platform.release(),
        "machine": f"{len(servers.CORES)} cores, {cpu}",
        "congestion control": space.congestion_control(),
        "load before": "%.2f" % os.getloadavg()[0],
    }


def number(x):
    if x is None:
        return ""
    if abs(x) >= 1000:
        return f"{x:,.0f}"
    return f"{x:.1f}" if abs(x) >= 100 else f"{x:.2f}" if abs(x) >= 10 else f"{x:.3f}"


def limit(row, x):
    return "" if x is None else ("≥ " if row.at_least else "≤ ") + f"{x:g}"


def cells(row):
    return (row.what, (number(row.value) + " " + row.unit).strip(), row.against,
            number(row.other), "" if row.ratio is None else f"{row.ratio:.3f}",
            limit(row, row.must), limit(row, row.aim),
            "" if row.noise is None else f"±{row.noise:.3f}", row.verdict())


def show(row):
    """One line, as soon as it is known."""
    c = cells(row)
    print(f"{c[0]:62} {c[1]:>13}" + (f"  {c[2]} {c[3]}, ratio {c[4]}" if c[2] else "") +
          (f"  must {c[5]}" if c[5] else "") + (f", aim {c[6]}" if c[6] else "") +
          (f"  noise {c[7]}" if c[7] else "") + (f"  [{c[8]}]" if c[8] else ""), flush=True)


def markdown(about, rows):
    lines = ["", f"Taken {about['date']} at commit `{about['commit']}`.", ""]
    lines += [f"- {k}: {v}" for k, v in about.items() if k not in ("date", "commit")]
    lines += ["", "| " + " | ".join(HEADS) + " |", "|" + "---|" * len(HEADS)]
    lines += ["| " + " | ".join(cells(r)) + " |" for r in rows]
    return "\n".join(lines) + "\n\n"


def write_document(about, rows):
    text = DOCUMENT.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN, 1)
    _, tail = rest.split(END, 1)
    DOCUMENT.write_text(head + BEGIN + markdown(about, rows) + END + tail, encoding="utf-8")


def write_json(about, rows, raw):
    data = {"about": about, "raw": raw,
            "rows": [{**dataclasses.asdict(r), "verdict": r.verdict()} for r in rows]}
    path = OUT / "results.json"
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
