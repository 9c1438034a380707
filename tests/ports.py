"""Ports for what has to be told its port before it listens."""

import random
import socket

#: Below those that the system gives to connections and to whoever asks for any: nobody gets one of ours in between.
_OURS = range(10_000, 32_000)


def free_port() -> int:
    """A port on 127.0.0.1 on which nobody listens."""
    while True:
        port = random.SystemRandom().choice(_OURS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
