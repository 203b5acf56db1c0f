"""Publishes batches as an engine does, by libzmq: PORT on standard output, then
batches every 20 ms; silence for 12 s; again; and once more as an engine that was
restarted. It pings its subscribers and gives up those that do not answer."""

import time

import msgpack
import zmq

context = zmq.Context()


def publisher(port):
    socket = context.socket(zmq.PUB)
    socket.set(zmq.HEARTBEAT_IVL, 500)
    socket.set(zmq.HEARTBEAT_TIMEOUT, 2000)
    socket.set(zmq.LINGER, 0)
    if port:
        socket.bind("tcp://127.0.0.1:%d" % port)
        return socket, port
    return socket, socket.bind_to_random_port("tcp://127.0.0.1")


def publish(socket, first, seconds):
    end = time.time() + seconds
    while time.time() < end:
        tokens = list(range(20_000, 20_000 + 16 * 40))
        stored = ["BlockStored", list(range(first, first + 40)), None, tokens, 16, None, "GPU"]
        batch = [time.time(), [stored, ["BlockRemoved", [first], "GPU"]], 0]
        socket.send_multipart([b"kv-events", first.to_bytes(8, "big"), msgpack.packb(batch)])
        first += 1
        time.sleep(0.02)
    return first


socket, port = publisher(0)
print(port, flush=True)
after = publish(socket, 0, 2)
time.sleep(12)
publish(socket, after, 1)
socket.close()
time.sleep(0.2)
socket, _ = publisher(port)
publish(socket, 0, 3)
