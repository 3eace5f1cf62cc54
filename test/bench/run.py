"""
./dev bench [--quick] [GROUP...]: evenkeel beside nginx, HAProxy and a relay
that does nothing but recv and send.  docs/benchmarks.md tells the method.
"""
import argparse
import os
import signal
import sys

import space


def arguments(groups):
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--quick", action="store_true",
                        help="a smoke run: seconds, not minutes; figures mean little")
    parser.add_argument("--rounds", type=int, default=5, help="more: less noise (default 5)")
    parser.add_argument("groups", nargs="*", metavar="GROUP",
                        help="what to measure: " + ", ".join(groups) +
                        "; without any, everything, and docs/benchmarks.md is written")
    given = parser.parse_args()
    unknown = set(given.groups) - set(groups)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    return given


def measure(bench, groups, names, show):
    """All rows; a group that fails is reported and does not end the rest."""
    from load import Wrong
    rows, failed = [], []
    for name in names:
        try:
            for row in groups[name](bench):
                rows.append(row)
                show(row)
        except (Wrong, OSError, RuntimeError) as e:
            failed.append(name)
            print(f"bench: {name} failed: {e}", file=sys.stderr, flush=True)
    return rows, failed


def main():
    space.enter()
    space.prepare()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers are stopped then, too
    import report
    import rows as table
    import servers
    import tls_rows
    groups = {**table.GROUPS, **tls_rows.GROUPS}
    given = arguments(list(groups))
    servers.compile_tools()
    about = report.surroundings()
    bench = table.Bench(given.quick, given.rounds)
    bench.backend = servers.start_backend()
    try:
        rows, failed = measure(bench, groups, given.groups or list(groups), report.show)
    finally:
        bench.backend.stop()
    about["load after"] = "%.2f" % os.getloadavg()[0]
    print(f"\nall figures: {report.write_json(about, rows, bench.raw)}")
    if not given.groups and not given.quick and not failed:
        report.write_document(about, rows)
        print(f"written: {report.DOCUMENT}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
