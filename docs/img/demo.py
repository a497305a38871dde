#!/usr/bin/env python3
"""Draws docs/img/demo.svg: runs the demo in a terminal of its own and draws the screen it leaves.

    cargo build --release && python3 docs/img/demo.py target/release/udp-proxy
"""
import html, os, pty, re, struct, sys, fcntl, termios
from pathlib import Path

COLUMNS, ROWS = 100, 30


def screen_of(command):
    """The lines on the screen when the command has ended, each a list of (character, style)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.environ.pop("NO_COLOR", None)
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    data = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:
            break
        if not chunk:
            break
        data += chunk
    _, status = os.waitpid(pid, 0)
    lines, row, style = [[]], 0, ""
    for part in re.split(r"(\x1b\[[0-9;]*[A-Za-z]|\r?\n)", data.decode()):
        if re.fullmatch(r"\r?\n", part):
            row += 1
            if row == len(lines):
                lines.append([])
        elif part.startswith("\x1b["):
            number, kind = part[2:-1], part[-1]
            if kind == "A":
                row -= int(number or 1)
            elif kind == "J":
                lines[row:] = [[]]
            elif kind == "m":
                style = "" if number in ("", "0") else number
        elif part:
            lines[row] += [(character, style) for character in part]
    return lines, os.waitstatus_to_exitcode(status)


def svg(lines, title):
    colours = {"": "#d6deeb", "2": "#7f8b99", "32": "#7fd88f", "1;31": "#ff6b6b"}
    width, height, em, top = 8.4 * COLUMNS + 32, 20 * len(lines) + 64, 20, 56
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" viewBox="0 0 {width:.0f} {height}">',
        f'<rect width="100%" height="100%" rx="8" fill="#11151c"/>',
        '<g fill="#3b4554"><circle cx="20" cy="18" r="6"/><circle cx="40" cy="18" r="6"/><circle cx="60" cy="18" r="6"/></g>',
        f'<text x="{width / 2:.0f}" y="22" fill="#7f8b99" text-anchor="middle" font-family="monospace" font-size="13">{html.escape(title)}</text>',
        '<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace" font-size="14" xml:space="preserve">',
    ]
    for number, line in enumerate(lines):
        spans, start = [], 0
        while start < len(line):
            end = start
            while end < len(line) and line[end][1] == line[start][1]:
                end += 1
            text = "".join(character for character, _ in line[start:end])
            x = 16 + start * 8.4
            spans.append(f'<tspan x="{x:.1f}" fill="{colours.get(line[start][1], "#d6deeb")}" textLength="{(end - start) * 8.4:.1f}">{html.escape(text)}</tspan>')
            start = end
        out.append(f'<text y="{top + number * em}">{"".join(spans)}</text>')
    return "\n".join(out + ["</g>", "</svg>", ""])


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else "target/release/udp-proxy"
    lines, code = screen_of([binary, "demo"])
    while lines and not lines[-1]:
        lines.pop()
    if code != 0:
        sys.exit(f"the demo ended with {code}; nothing is drawn")
    picture = Path(__file__).with_name("demo.svg")
    picture.write_text(svg(lines, "udp-proxy demo"))
    print(f"{picture}: {len(lines)} lines")


main()
