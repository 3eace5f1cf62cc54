#!/usr/bin/env python3
"""Runs every check of the source: first that it can fail, then on the tree.

usage: all.py [--junit FILE] [CHECK...]      exit 1 when a check has problems
"""
import argparse
import importlib
import pathlib
import sys
import tempfile
import time
import xml.etree.ElementTree as xml

CHECKS = ("includes", "purity", "banned", "shape", "words", "format", "shell", "python",
          "tidy")
ROOT = pathlib.Path(__file__).resolve().parents[2]


def plant(module, root, files):
    """Writes a planted fault into an empty tree."""
    if hasattr(module, "plant"):
        module.plant(root, files)
        return
    for name, text in files.items():
        path = pathlib.Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def self_check(module):
    """The planted faults that the check does not see."""
    missed = []
    for name, files in module.PLANTED.items():
        with tempfile.TemporaryDirectory() as root:
            plant(module, root, files)
            if not module.problems(root):
                missed.append(f"the check does not see a planted fault: {name}")
    return missed


def run(name):
    module = importlib.import_module(name)
    return {f"{name} sees faults": self_check(module),
            f"{name}": module.problems(ROOT)}


def write_junit(path, results):
    suite = xml.Element("testsuite", name="lint", tests=str(len(results)))
    for name, found in results.items():
        case = xml.SubElement(suite, "testcase", classname="lint", name=name)
        if found:
            xml.SubElement(case, "failure", message=f"{len(found)} problems").text = \
                "\n".join(found)
    xml.ElementTree(suite).write(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--junit")
    parser.add_argument("checks", nargs="*", metavar="CHECK")
    args = parser.parse_args()
    results = {}
    for name in args.checks or CHECKS:
        start = time.monotonic()
        try:
            found = run(name)
        except Exception as e:  # a check that breaks must not hide the others
            found = {name: [f"the check itself failed: {e!r}"]}
        results |= found
        bad = [line for lines in found.values() for line in lines]
        print(f"{'FAIL' if bad else 'ok':4} {name} ({time.monotonic() - start:.1f} s)")
        for line in bad:
            print(f"     {line}")
    if args.junit:
        write_junit(args.junit, results)
    return 1 if any(results.values()) else 0


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main())
