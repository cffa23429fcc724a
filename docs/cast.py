#!/usr/bin/env python3
"""Writes docs/images/terminal.svg: what `tollfree demo` really prints, as it prints it, and what `tollfree status` says of
a ledger with calls in it. The demo leaves none, so these are calls through a second proxy.

    cargo build -p app -p simulator && python3 docs/cast.py target/debug

Runs the programs of that folder in a terminal of its own and knows nothing of what they say.
"""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import time
import urllib.request
from pathlib import Path
from xml.sax.saxutils import escape

COLUMNS = 100
# Pixels of a cell, and of the margin.
WIDE, HIGH, MARGIN = 7.8, 18, 16
# The demo's day takes so many seconds: as many as if none are said.
SECONDS = 20
# Seconds between two frames of the line that moves.
FRAME = 0.3
# What the simulated organization called before its status is asked: model, tokens, words that steer the answer.
CALLS = [("gpt-5.6-sol", tokens, "") for tokens in (120_000, 140_000, 150_000, 150_000, 150_000, 150_000, 115_000, 30_000)]
CALLS += [("gpt-5.4-mini", 21_000 + 700 * number, "") for number in range(90)]
CALLS += [("gpt-5.4-mini", 900, "[no usage]"), ("gpt-3.5-turbo", 41_200, "")]

STYLE = """
svg { background: #F6F7F9; border-radius: 8px; }
text { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #1B1F24; white-space: pre; }
.s2 { fill: #57606A; } .s36 { fill: #00558F; } .s33 { fill: #A34700; font-weight: 600; } .s31 { fill: #B3261E; }
@media (prefers-color-scheme: dark) {
  svg { background: #1B2128; } text { fill: #E6EAEE; }
  .s2 { fill: #9AA4AF; } .s36 { fill: #6DB8F2; } .s33 { fill: #FFC46B; } .s31 { fill: #F2B8B5; }
}
.line { animation: come 1ms linear backwards; }
.moving { opacity: 0; animation: shown linear; }
@keyframes come { from { opacity: 0; } }
@keyframes shown { from, to { opacity: 1; } }
@media (prefers-reduced-motion: reduce) { .line, .moving { animation: none; } }
"""


def recorded(command, environment=None):
    """What a command writes to a terminal: lines as (seconds, text), and the states of its last line as
    (seconds, row, text)."""
    child, screen = pty.fork()
    if child == 0:
        kept = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "TERM": "xterm-256color"}
        kept |= {"LC_ALL": "C.UTF-8", "TZ": "UTC", "COLUMNS": str(COLUMNS)} | (environment or {})
        os.execve(command[0], [str(part) for part in command], kept)
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 60, COLUMNS, 0, 0))
    began, line, lines, moving = time.monotonic(), "", [], []
    while True:
        try:
            part = os.read(screen, 65_536)
        except OSError:
            break
        if not part:
            break
        now = time.monotonic() - began
        for piece in re.split(r"(\n|\r *\r)", part.decode().replace("\r\n", "\n")):
            if piece == "\n":
                lines.append((now, line))
                line = ""
            elif piece.startswith("\r"):
                line = ""
            else:
                line += piece
        if line:
            moving.append((now, len(lines), line))
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"{command}: {status}\n" + "\n".join(text for _, text in lines))
    return lines, moving


def status(programs):
    """The status after some calls through a real proxy, as recorded."""
    with tempfile.TemporaryDirectory() as data:
        config = Path(data) / "tollfree.toml"
        config.write_text('[[organizations]]\nname = "acme"\nusage_tier = 3\nenrolled = true\ncoverage = "all"\n')
        told = {"TOLLFREE_CONFIG": str(config), "TOLLFREE_DATA_DIR": data, "TOLLFREE_ADMIN_LISTEN": "off"}
        simulator = subprocess.Popen(
            [programs / "openai-simulator", "--listen", "127.0.0.1:0", "--usage-tier", "3"], stdout=subprocess.PIPE, text=True
        )
        upstream = re.search(r"http://[\d.:]+", simulator.stdout.readline())[0]
        proxy = subprocess.Popen(
            [programs / "tollfree", "--listen", "127.0.0.1:0", "--upstream", upstream, "--log-format", "json"],
            env=os.environ | told, stderr=subprocess.PIPE, text=True,
        )
        try:
            address = next(line["address"] for line in map(json.loads, proxy.stderr) if line["message"] == "listening")
            # The day before the ledger began is stated, so that nothing of it is assumed.
            for group in ("large", "small"):
                subprocess.run([programs / "tollfree", "total", "set", "--organization", "acme", "--group", group, "0"],
                               env=os.environ | told, check=True, capture_output=True)
            for model, tokens, words in CALLS:
                call(address, model, tokens, words)
            until_written(programs, os.environ | told)
            return recorded([programs / "tollfree", "status"], told)[0]
        finally:
            for program in (proxy, simulator):
                program.terminate()
                program.wait()


def until_written(programs, environment):
    """Sums are read from the ledger's tables, which calls reach a moment after their answers."""
    command = [programs / "tollfree", "status", "--json"]
    for _ in range(100):
        said = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
        if said["organizations"][0]["total"]["calls"] == len(CALLS):
            return
        time.sleep(0.1)
    raise SystemExit("not every call was written")


def call(address, model, tokens, words):
    content = f"[tokens in={tokens - 10} out=10]{words}"
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": content}]})
    head = {"authorization": "Bearer sk-sim-acme", "content-type": "application/json"}
    request = urllib.request.Request(f"http://{address}/v1/chat/completions", body.encode(), head)
    urllib.request.urlopen(request).read()


def text(row, line, kind, when, lasting=None):
    """A line of the terminal: its colours as classes, its width as so many cells whatever the font."""
    spans, style, length = [], "", 0
    for piece in re.split(r"(\x1b\[\d*m)", line):
        colour = re.fullmatch(r"\x1b\[(\d*)m", piece)
        if colour:
            style = "" if colour[1] in ("", "0") else f' class="s{colour[1]}"'
        elif piece:
            length += len(piece)
            spans.append(f"<tspan{style}>{escape(piece)}</tspan>")
    if not spans:
        return ""
    timing = f"animation-delay:{when:.2f}s" + (f";animation-duration:{lasting - 0.02:.2f}s" if lasting else "")
    return (
        f'<text xml:space="preserve" class="{kind}" style="{timing}" x="{MARGIN}" y="{MARGIN + HIGH * row + 13}" '
        f'textLength="{length * WIDE:.1f}" lengthAdjust="spacingAndGlyphs">{"".join(spans)}</text>\n'
    )


def drawn(programs):
    lines, moving = recorded([programs / "tollfree", "demo", "--seconds", SECONDS])
    parts = [text(0, "$ tollfree demo", "line", 0)]
    parts += [text(row + 1, line, "line", 0.5 + when) for row, (when, line) in enumerate(lines)]
    shown = 0.0
    for (when, row, line), (until, *_) in zip(moving, moving[1:] + [(lines[-1][0],)]):
        if until - shown >= FRAME:
            parts.append(text(row + 1, line, "moving", 0.5 + shown, until - shown))
            shown = until
    end, row = lines[-1][0] + 2, len(lines) + 2
    parts.append(text(row, "\x1b[2m# Later, after some calls through your own tollfree:\x1b[0m", "line", end))
    row += 1
    parts.append(text(row, "$ tollfree status", "line", end))
    answer = status(programs)
    parts += [text(row + 1 + place, line, "line", end + 0.5) for place, (_, line) in enumerate(answer)]
    size = f'{COLUMNS * WIDE + 2 * MARGIN:.0f} {(row + 1 + len(answer)) * HIGH + 2 * MARGIN}'
    words = "tollfree demo, a simulated day whose large calls turn from free to billed, and tollfree status"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img" aria-label="{words}">\n'
        f"<style>{STYLE}</style>\n{''.join(parts)}</svg>\n"
    )


if __name__ == "__main__":
    image = Path(__file__).parent / "images/terminal.svg"
    image.write_text(drawn(Path(sys.argv[1]).resolve()))
    print(image)
