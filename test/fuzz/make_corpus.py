#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets, made from the protocol cases.

usage: make_corpus.py   (writes corpus/head, corpus/body, corpus/forward,
corpus/proxyproto here)

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


SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def binary(command, family, rest):
    """A PROXY header of version 2."""
    return SIGNATURE + bytes([command, family]) + len(rest).to_bytes(2, "big") + rest


def proxy_headers():
    """Of both versions, with a request behind some."""
    inet4 = bytes([1, 2, 3, 4, 5, 6, 7, 8, 0, 80, 255, 255])
    inet6 = bytes(15) + b"\1" + bytes(15) + b"\2" + b"\0\1\0\2"
    unix = b"/run/a".ljust(108, b"\0") + b"\0abstract".ljust(108, b"\0")
    tlvs = b"\1\0\2h2" + b"\4\0\0" + b"\5\0\4uniq"
    long_address = b" ".join([b"ffff" + b":ffff" * 7] * 2)
    return [
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 65535\r\nGET / HTTP/1.1\r\n\r\n",
        b"PROXY TCP6 ::1 2001:db8::2 80 8080\r\n",
        b"PROXY TCP6 ::ffff:1.2.3.4 :: 0 0\r\n",
        b"PROXY TCP6 " + long_address + b" 65535 65535\r\n",
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN " + long_address + b" 65535 65535\r\n",
        b"PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
        b"PROXY TCP4 1.2.3.4",
        binary(0x21, 0x11, inet4), binary(0x21, 0x11, inet4 + tlvs) + b"GET",
        binary(0x21, 0x21, inet6), binary(0x21, 0x21, inet6 + tlvs),
        binary(0x21, 0x31, unix), binary(0x21, 0x31, unix + tlvs),
        binary(0x20, 0, b""), binary(0x20, 0xff, b"anything"),
        binary(0x21, 0, b""), binary(0x21, 0x12, inet4), binary(0x21, 0x22, b""),
        binary(0x21, 0x11, inet4 + b"\4\0\1"), binary(0x21, 0x11, inet4[:-1]),
        binary(0x21, 0x41, inet4), binary(0x31, 0x11, inet4), binary(0x21, 0x11, inet4)[:20],
    ]


def forwarded_requests():
    """What trusted and other peers say about whom they speak for."""
    start, end = b"GET / HTTP/1.1\r\nHost: h:1\r\n", b"\r\n\r\n"
    return [start + lines + end for lines in (
        b"X-Forwarded-For: 1.1.1.1, [::1]:80\r\nx-forwarded-for:unknown,,10.1.2.3",
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Host:\r\nX-Forwarded-Port:1",
        b'Forwarded: for="[2001:db8::1]:9";by=_x; proto=http, for=1.1.1.1',
        b'Forwarded: for=1.1.1.1\r\nForwarded: for="1.1.1.1\r\nForwarded: a="\\"b"',
        b"Forwarded: ,for=unknown,;\r\nConnection: Forwarded, X-Forwarded-For",
    )]


def subject_requests():
    """Who claims to have shown a certificate."""
    start, end = b"GET / HTTP/1.1\r\nHost: h:1\r\n", b"\r\n\r\n"
    return [start + lines + end for lines in (
        b"X-Client-Cert-Subject: CN=root",
        b"x_client-cert_subject:CN=root\r\nX-CLIENT-CERT-SUBJECT: CN=a",
        b"Connection: X-Client-Cert-Subject, close\r\nX-Client-Cert-Subject: CN=a",
        b"X-Client-Cert-Subject2: a\r\nX-Client-Cert-Serial: b\r\nX-Forwarded-Client-Cert: c",
    )]


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
          [(8, b"X-Sum: abc\r\nContent-Length: 5\r\nY:  z \r\n")] +
          [(0xc0, t) for t in forwarded_requests()] +
          [(flags, t) for flags in (0, 0x10, 0x50) for t in subject_requests()])
    write("proxyproto", [(0, t) for t in proxy_headers()])


if __name__ == "__main__":
    main()
