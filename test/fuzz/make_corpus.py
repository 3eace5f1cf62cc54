#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets, made from the protocol cases.

usage: make_corpus.py   (writes corpus/head, corpus/body, corpus/forward here)

A seed is a byte of flags, two that say where the text is cut, and the text;
see fuzz_input.h and the flags at the top of each target.
"""
import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(HERE, "..", "cases")
LONGEST = 600


def texts(name, key):
    """All texts of a case file that are short enough, in their order."""
    found = []
    with open(os.path.join(CASES, name), encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line).get(key)
            if isinstance(text, str) and 0 < len(text) <= LONGEST:
                found.append(text.encode("latin-1"))
    return found


def spread(items, count):
    """`count` of the items, evenly spread."""
    count = min(count, len(items))
    return [items[i * len(items) // count] for i in range(count)]


def write(target, seeds):
    folder = os.path.join(HERE, "corpus", target)
    os.makedirs(folder, exist_ok=True)
    for number, (flags, text) in enumerate(seeds):
        cut = len(text) // 2
        with open(os.path.join(folder, "seed-%03d" % number), "wb") as out:
            out.write(bytes([flags, cut & 255, cut >> 8]) + text)


def bodies(requests):
    """What stands behind the heads of chunked requests."""
    return [r.split(b"\r\n\r\n", 1)[1] for r in requests
            if b"chunked\r\n\r\n" in r]


def main():
    requests = texts("requests.jsonl", "request")
    responses = texts("responses.jsonl", "response")
    write("head", [(0, t) for t in spread(requests, 48)] +
          [(1, t) for t in spread(responses, 24)])
    write("body", [(0, t) for t in spread(requests, 32)] +
          [(3, t) for t in spread(bodies(requests), 40)])
    write("forward", [(i & 0x36, t) for i, t in
                      enumerate(spread(requests, 48))] +
          [(1 | i & 0x14, t) for i, t in enumerate(spread(responses, 24))] +
          [(8, b"X-Sum: abc\r\nContent-Length: 5\r\nY:  z \r\n")])


if __name__ == "__main__":
    main()
