#!/usr/bin/env python3
"""Adds up what test/suite ran: prints what failed, then `N passed, N failed`.

usage: totals.py LOGDIR     exit 1 when anything failed, or nothing ran
"""
import pathlib
import sys
import xml.etree.ElementTree as xml

TAIL_LINES = 60


def cases(path):
    """(name, verdict, text) of each test case of a JUnit file."""
    for case in xml.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname') or ''}::{case.get('name')}"
        verdict, text = "passed", ""
        for child in case:
            if child.tag in ("failure", "error"):
                verdict = "failed"
                text = (child.get("message") or "") + "\n" + (child.text or "")
            elif child.tag == "skipped":
                verdict, text = "skipped", child.get("message") or ""
        if verdict == "failed" and not text.strip():
            text = case.findtext("system-out") or ""
        yield name, verdict, text


def tail(path):
    if not path.exists():
        return ""
    lines = path.read_text(errors="replace").splitlines()
    return "\n".join(lines[-TAIL_LINES:])


def step_results(log, name, rc):
    """The results of one step: those of its JUnit file, or its exit code."""
    path, results = log / f"{name}.xml", []
    if path.exists():
        try:
            results = list(cases(path))
        except xml.ParseError as e:
            results = [(path.name, "failed", str(e))]
    failed = any(verdict == "failed" for _, verdict, _ in results)
    if rc and not failed:
        results.append((name, "failed", tail(log / f"{name}.log")))
    elif not results:
        results.append((name, "passed", ""))
    return [(name, *r) for r in results]


def main(log):
    results = []
    for line in (log / "steps").read_text().splitlines():
        name, rc = line.split()
        results += step_results(log, name, int(rc))
    for step, name, verdict, text in results:
        if verdict == "skipped":
            print(f"skipped {step} {name}: {text}")
    for step, name, verdict, text in results:
        if verdict == "failed":
            cut = "\n".join(text.strip().splitlines()[-TAIL_LINES:])
            print(f"\n--- FAILED {step} {name}\n{cut}")
    count = {v: sum(r[2] == v for r in results) for v in ("passed", "failed")}
    print(f"\nlogs: {log}")
    print(f"{count['passed']} passed, {count['failed']} failed")
    return 1 if count["failed"] or not count["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
