"""The program of the process that waits for the disk: on request it flushes one of its files, and says how that went.

    python -I -S sync_process.py SOCKET FILE...     (numbers of inherited descriptors)

Each byte that comes over the socket is the index of a file; the answer is one byte, 0 or an errno. Ends when the other
side does. It must start fast and stay small, so it imports nothing of the exporter.
"""

import os
import socket
import sys


def main(arguments: list[str]) -> None:
    """Answer requests until there is nobody left to ask."""
    requests, *files = map(int, arguments)
    with socket.socket(fileno=requests) as channel:
        while asked := channel.recv(1):
            channel.send(bytes([_flush(files[asked[0]])]))


def _flush(file: int) -> int:
    flush = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync
    try:
        flush(file)
    except OSError as error:
        return error.errno or 5
    return 0


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (ConnectionError, KeyboardInterrupt):
        sys.exit(0)
