#!/usr/bin/python3
"""
What takes longer than the tests may: ./dev soak [PART...]

Every part prints its figures as it goes; the last line is `N passed, N failed`.
"""
import argparse
import importlib
import pathlib
import sys
import tempfile
import time
import traceback

from soaklib import Report, Skipped, more_files

PARTS = ("mixed", "websocket", "slow", "connections", "bodies", "scrape", "logs", "reload", "tls",
         "tls_scan", "fuzz", "package")


def modules():
    return {name: importlib.import_module(f"part_{name}") for name in PARTS}


def positive(text):
    n = int(text)
    if n <= 0:
        raise argparse.ArgumentTypeError("more than 0")
    return n


def arguments():
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help="all when none is named")
    parser.add_argument("--list", action="store_true", help="the parts, a line each")
    parser.add_argument("--seconds", type=positive,
                        help="of websocket (600), of scrape and logs (60 and 30), of each "
                             "fuzz target (120)")
    parser.add_argument("--requests", type=positive, default=1000000, help="of mixed")
    parser.add_argument("--seed", type=int, help="of mixed; drawn, and printed, when not given")
    parser.add_argument("--mb", type=positive, default=2048, help="of each body of bodies")
    options = parser.parse_args()
    unknown = [p for p in options.parts if p not in PARTS]
    if unknown:
        parser.error(f"no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return options


def run_part(name, module, report, options):
    start = time.monotonic()
    print(f"\n--- {name}: {module.__doc__.strip().splitlines()[0]}", flush=True)
    try:
        module.run(report, options)
    except Skipped as e:
        print(f"skipped {name}: {e}")
    except Exception:
        report.check(name, False, traceback.format_exc())
    report.note(f"{time.monotonic() - start:.0f} s")


def main():
    options, parts = arguments(), modules()
    if options.list:
        for name, module in parts.items():
            print(f"{name:12} {module.__doc__.strip().splitlines()[0]}")
        return 0
    more_files()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="evenkeel-soak-") as folder:
        options.folder = pathlib.Path(folder)
        for name in options.parts or PARTS:
            run_part(name, parts[name], report, options)
    print(f"\n{report.passed} passed, {report.failed} failed")
    return 1 if report.failed or not report.passed else 0


if __name__ == "__main__":
    sys.exit(main())
