#!/usr/bin/python3
"""
WebSocket peers of two implementations; each verifies every byte it gets.

usage: ws_peer.py server                   prints its port; echoes
       ws_peer.py websockets PORT SECONDS  clients of python3-websockets
       ws_peer.py websocket PORT SECONDS   clients of python3-websocket
A client prints its counts as JSON when the time is up; exit 1 when anything differed.
"""
import asyncio
import json
import math
import random
import sys
import threading
import time

MB = 1 << 20
CLIENTS = 6
PER_CONNECTION = 300  # messages until it is closed and a new one is made
PING_EVERY = 20
ALPHABET = "abcdefghijklmnopqrstuvwxyz äöüß€ 0123456789"
counts = {"connections": 0, "text": 0, "binary": 0, "bytes": 0, "pings": 0, "closed": 0}
lock = threading.Lock()


def count(**more):
    with lock:
        for k, n in more.items():
            counts[k] += n


def draw(rng):
    """A message: text or bytes, 0 bytes to 1 MB, small ones more often."""
    size = rng.choice((0, 1, 125, 126, 65535, 65536, MB)) if rng.random() < 0.05 else \
        int(math.exp(rng.uniform(0, math.log(MB))))
    if rng.random() < 0.5:
        return rng.randbytes(size)
    piece = "".join(rng.choices(ALPHABET, k=min(size, 997)))
    text = piece * (size // max(len(piece), 1) + 1)
    cut = text[:size]
    while len(cut.encode()) > MB:
        cut = cut[:len(cut) * 3 // 4]
    return cut


def tally(message):
    if isinstance(message, str):
        count(text=1, bytes=len(message.encode()))
    else:
        count(binary=1, bytes=len(message))


# --- python3-websockets ----------------------------------------------------------------

async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def serve():
    import websockets
    async with websockets.serve(echo, "127.0.0.1", 0, max_size=2 * MB, ping_interval=2,
                                ping_timeout=60) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


async def talk(ws, rng, end):
    for n in range(PER_CONNECTION):
        if time.monotonic() > end:
            break
        burst = [draw(rng) for _ in range(rng.randint(1, 4))]
        sender = asyncio.create_task(send_all(ws, burst))
        for sent in burst:
            got = await asyncio.wait_for(ws.recv(), 60)
            assert got == sent, f"{len(sent)} sent, {len(got)} came back, not the same"
            tally(sent)
        await sender
        if n % PING_EVERY == 0:
            await asyncio.wait_for(await ws.ping(), 60)
            count(pings=1)


async def send_all(ws, messages):
    for m in messages:
        await ws.send(m)


async def one_client(port, seed, end):
    import websockets
    rng = random.Random(seed)
    while time.monotonic() < end:
        compression = rng.choice((None, "deflate"))
        ws = await websockets.connect(f"ws://127.0.0.1:{port}/ws", max_size=2 * MB,
                                      compression=compression, ping_interval=2, ping_timeout=60)
        count(connections=1)
        await talk(ws, rng, end)
        await ws.close()
        assert ws.close_code == 1000, f"close code {ws.close_code}"
        count(closed=1)


async def clients(port, seconds):
    end = time.monotonic() + seconds
    await asyncio.gather(*(one_client(port, seed, end) for seed in range(CLIENTS)))


# --- python3-websocket -------------------------------------------------------------------

def blocking_talk(ws, rng, end):
    import websocket
    for n in range(PER_CONNECTION):
        if time.monotonic() > end:
            break
        sent = draw(rng)
        ws.send(sent, websocket.ABNF.OPCODE_TEXT if isinstance(sent, str)
                else websocket.ABNF.OPCODE_BINARY)
        opcode, got = ws.recv_data()
        assert got == (sent.encode() if isinstance(sent, str) else sent), "not the same"
        assert (opcode == websocket.ABNF.OPCODE_TEXT) == isinstance(sent, str)
        tally(sent)
        if n % PING_EVERY == 0:
            data = rng.randbytes(8)
            ws.ping(data)
            while True:  # pings of the server may come before the pong
                frame_type, frame = ws.recv_data_frame(control_frame=True)
                if frame_type == websocket.ABNF.OPCODE_PONG and frame.data == data:
                    break
                assert frame_type in (websocket.ABNF.OPCODE_PING, websocket.ABNF.OPCODE_PONG)
            count(pings=1)


def blocking_client(port, seed, end, errors):
    import websocket
    rng = random.Random(seed)
    try:
        while time.monotonic() < end:
            ws = websocket.create_connection(f"ws://127.0.0.1:{port}/ws", timeout=60)
            count(connections=1)
            blocking_talk(ws, rng, end)
            ws.send_close()
            opcode, data = ws.recv_data()
            assert opcode == websocket.ABNF.OPCODE_CLOSE and data[:2] == b"\x03\xe8", data
            ws.shutdown()
            count(closed=1)
    except BaseException as e:
        errors.append(repr(e))


def blocking_clients(port, seconds):
    end, errors = time.monotonic() + seconds, []
    threads = [threading.Thread(target=blocking_client, args=(port, 100 + i, end, errors))
               for i in range(CLIENTS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors, errors


def main():
    role = sys.argv[1]
    if role == "server":
        asyncio.run(serve())
        return
    port, seconds = int(sys.argv[2]), float(sys.argv[3])
    if role == "websockets":
        asyncio.run(clients(port, seconds))
    else:
        blocking_clients(port, seconds)
    print(json.dumps(counts), flush=True)


if __name__ == "__main__":
    main()
