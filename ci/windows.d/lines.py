"""lines.py PORT COUNT: what arrives at a UDP port, as 'COUNT different, in order' or what it was instead."""
import socket
import sys

port, count = int(sys.argv[1]), int(sys.argv[2])
sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for option in (socket.SO_RCVBUF, 33):  # 33 is SO_RCVBUFFORCE, which only root may use
    try:
        sink.setsockopt(socket.SOL_SOCKET, option, 8 << 20)
    except OSError:
        pass
sink.bind(("127.0.0.1", port))
sink.settimeout(30)
lines = []
try:
    while len(lines) < count:
        lines.append(sink.recv(65536).decode())
except TimeoutError:
    pass
numbers = [int(line.rsplit(":", 1)[1]) for line in lines]
order = "in order" if numbers == sorted(numbers) else "out of order"
print(len(lines), "lines,", len(set(lines)), "different,", order)
