#!/usr/bin/env python3
"""Draws windows/udp-proxy.ico: one line in, two lines out. Needs nothing but Python: `python3 windows/icon.py`."""

import struct
from pathlib import Path

SIZES = (16, 24, 32, 48, 64)
FINE = 4  # samples a pixel, each way: smooth edges
BACK, LINE = (0x1E, 0x3A, 0x5F), (0xFF, 0xFF, 0xFF)


def near(x, y, a, b, width):
    """Whether (x, y) is on the line from a to b."""
    (ax, ay), (bx, by) = a, b
    along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2)
    along = min(1, max(0, along))
    return (x - ax - along * (bx - ax)) ** 2 + (y - ay - along * (by - ay)) ** 2 <= (width / 2) ** 2


def sample(x, y):
    """The colour at a point of the unit square, or None outside the rounded plate."""
    corner = 0.18
    dx, dy = max(corner - x, 0, x - 1 + corner), max(corner - y, 0, y - 1 + corner)
    if dx * dx + dy * dy > corner * corner:
        return None
    fork, ends = (0.42, 0.5), ((0.84, 0.24), (0.84, 0.76))
    drawn = near(x, y, (0.14, 0.5), fork, 0.13) or any(near(x, y, fork, end, 0.13) for end in ends)
    return LINE if drawn else BACK


def image(size):
    """A BITMAPINFOHEADER, BGRA rows from the bottom up, and an AND mask that hides nothing."""
    rows = bytearray()
    for row in reversed(range(size)):
        for column in range(size):
            at = [((column + (i + 0.5) / FINE) / size, (row + (j + 0.5) / FINE) / size)
                  for i in range(FINE) for j in range(FINE)]
            seen = [colour for colour in (sample(x, y) for x, y in at) if colour]
            mean = [sum(c[k] for c in seen) // max(1, len(seen)) for k in (2, 1, 0)]
            rows += bytes(mean) + bytes([255 * len(seen) // len(at)])
    mask = bytes((size + 31) // 32 * 4 * size)
    header = struct.pack("<IiiHHIIiiII", 40, size, 2 * size, 1, 32, 0, len(rows) + len(mask), 0, 0, 0, 0)
    return header + rows + mask


def main():
    images = [image(size) for size in SIZES]
    offset = 6 + 16 * len(images)
    directory = struct.pack("<HHH", 0, 1, len(images))
    for size, data in zip(SIZES, images):
        directory += struct.pack("<BBBBHHII", size, size, 0, 0, 1, 32, len(data), offset)
        offset += len(data)
    Path(__file__).with_name("udp-proxy.ico").write_bytes(directory + b"".join(images))


main()
