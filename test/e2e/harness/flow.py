"""Large bodies: a known stream of bytes, sent and checked piece by piece."""
import hashlib

BLOCK = hashlib.sha512(b"evenkeel").digest() * 1024  # 64 KiB


def blocks(total):
    """The stream, in blocks; any prefix of it is BLOCK repeated."""
    for start in range(0, total, len(BLOCK)):
        yield BLOCK[:min(len(BLOCK), total - start)]


def send_stream(send, total):
    for block in blocks(total):
        send(block)


def receive_stream(sock, first, total, deadline_s=60, on_progress=None):
    """Reads `total` bytes, `first` being the first of them; -> hex digest."""
    digest, got = hashlib.sha256(first), len(first)
    sock.settimeout(deadline_s)
    while got < total:
        data = sock.recv(min(1 << 18, total - got))
        assert data, f"ended after {got} of {total} bytes"
        digest.update(data)
        got += len(data)
        if on_progress:
            on_progress(got)
    return digest.hexdigest()


def digest_of(total):
    digest = hashlib.sha256()
    for block in blocks(total):
        digest.update(block)
    return digest.hexdigest()
