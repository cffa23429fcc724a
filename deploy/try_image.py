#!/usr/bin/env python3
"""Runs the unpacked image as a container engine does, and calls OpenAI (the simulator) through it.

    try_image.py ROOT IMAGE.json SIMULATOR

ROOT is the image's unpacked file system, IMAGE.json its configuration (OCI), SIMULATOR the program openai-simulator.
As an engine does: the root read-only, a volume on /data, the image's own user, folder, environment and entry point,
/etc/resolv.conf and /etc/hosts from outside, and not one file more. Needs root and `unshare`. It must not know how the
image was built.
"""

import json
import os
import re
import shutil
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time

UPSTREAM = "openai.simulated"  # known to the name server below alone
PATIENCE = 60  # seconds
REQUEST = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hello"}]}


def name_server(address):
    """A name server that knows one name: it shows that the program finds names without any system around it."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    asked = []

    def serve():
        while True:
            query, peer = server.recvfrom(512)
            end = query.index(0, 12) + 5
            question, kind = query[12:end], struct.unpack(">H", query[end - 4 : end - 2])[0]
            known = UPSTREAM.encode() in bytes(b if b > 32 else 46 for b in question)
            asked.append(known)
            found = known and kind == 1
            head = struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, int(found), 0, 0)
            answer = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x7f\x00\x00\x01" if found else b""
            server.sendto(query[:2] + head + question + answer, peer)

    threading.Thread(target=serve, daemon=True).start()
    return asked


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Image:
    def __init__(self, root, config):
        self.root = root
        self.user, self.group = map(int, config["User"].split(":"))
        self.folder = config["WorkingDir"]
        self.environment = dict(one.split("=", 1) for one in config["Env"])
        self.entry = config["Entrypoint"]
        self.health = config["Healthcheck"]["Test"][1:]
        assert list(config["Volumes"]) == ["/data"], config

    def start(self, data, extra, command, **streams):
        """The command in the container: its process id is the program's own, so that signals reach it."""
        inside = f"""
import os
os.chroot({self.root!r}); os.chdir({self.folder!r})
os.setgroups([{self.group}]); os.setgid({self.group}); os.setuid({self.user})
os.execve({command[0]!r}, {command!r}, {{**{self.environment!r}, **{extra!r}}})
"""
        mounts = (
            f"mount --bind {self.root} {self.root} && mount --bind {data} {self.root}/data "
            f"&& mount -o remount,bind,ro {self.root} && exec {sys.executable} -c \"$0\""
        )
        return subprocess.Popen(["unshare", "--mount", "sh", "-c", mounts, inside], text=True, **streams)

    def run(self, data, extra, command):
        ended = self.start(data, extra, command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        output, errors = ended.communicate(timeout=PATIENCE)
        return ended.returncode, output + errors


def until(what, holds):
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"not within {PATIENCE} s: {what}"
        time.sleep(0.01)


def curl(port, path, *more):
    """What curl gets: the head and the body."""
    url = f"http://127.0.0.1:{port}/v1{path}"
    command = ["curl", "-sS", "-i", url, "-H", "authorization: Bearer sk-sim-acme", *more]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout


def ask(port, body):
    return curl(port, "/chat/completions", "-H", "content-type: application/json", "-d", json.dumps(body))


def call_through(port):
    answer = ask(port, REQUEST)
    assert "x-tollfree-verdict: free" in answer and '"choices"' in answer, answer
    stream = ask(port, REQUEST | {"stream": True})
    assert "data: [DONE]" in stream, stream
    # The head of a stream leaves before its tokens are known; the look-up has the final word.
    call = re.search("x-tollfree-call: ([^\r\n]+)", stream)[1]
    found = curl(port, f"/_tollfree/calls/{call}?wait=5")
    assert re.search('"verdict": ?"free"', found), found


def main():
    root, config, simulator = sys.argv[1:]
    with open(config, encoding="utf-8") as file:
        image = Image(os.path.realpath(root), json.load(file))
    files = sorted(os.listdir(image.root))
    assert files == ["data", "licenses", "tollfree"], files
    # What every engine lays into a container.
    os.makedirs(f"{image.root}/dev")
    for minor, name in ((3, "null"), (8, "random"), (9, "urandom")):
        os.mknod(f"{image.root}/dev/{name}", stat.S_IFCHR | 0o666, os.makedev(1, minor))
        os.chmod(f"{image.root}/dev/{name}", 0o666)
    os.makedirs(f"{image.root}/etc", exist_ok=True)
    with open(f"{image.root}/etc/resolv.conf", "w", encoding="utf-8") as file:
        file.write("nameserver 127.0.0.153\n")
    with open(f"{image.root}/etc/hosts", "w", encoding="utf-8") as file:
        file.write("127.0.0.1 localhost\n")
    asked = name_server("127.0.0.153")
    upstream = subprocess.Popen([simulator, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
    data = tempfile.mkdtemp()
    # As Kubernetes gives a volume with fsGroup: not the program's own, but its group's.
    os.chown(data, 0, image.group)
    os.chmod(data, 0o2770)
    proxy = None
    try:
        api = upstream.stdout.readline().split()[-1].replace("127.0.0.1", UPSTREAM)
        port, page = free_port(), free_port()
        assert image.environment["TOLLFREE_LISTEN"] == "0.0.0.0:8800", image.environment
        extra = {
            "TOLLFREE_LISTEN": f"127.0.0.1:{port}",
            "TOLLFREE_ADMIN_LISTEN": f"127.0.0.1:{page}",
            "TOLLFREE_UPSTREAM": api,
            "TOLLFREE_USAGE_TIER": "1",
        }
        code, said = image.run(data, extra, image.health)
        assert code == 69, f"health without a proxy: {code} {said}"
        for round in ("first", "second"):
            begun = time.monotonic()
            proxy = image.start(data, extra, image.entry, stderr=subprocess.DEVNULL)
            until("healthy", lambda: proxy.poll() is None and image.run(data, extra, image.health)[0] == 0)
            print(f"{round} start: healthy after {time.monotonic() - begun:.2f} s, as its own check says")
            call_through(port)
            with open(f"/proc/{proxy.pid}/status", encoding="utf-8") as status:
                ids = [line.split() for line in status if line.startswith(("Uid", "Gid"))]
            assert {int(one) for line in ids for one in line[1:]} == {image.user}, ids
            proxy.terminate()
            assert proxy.wait(PATIENCE) == 0, proxy.returncode
        code, calls = image.run(data, extra, [*image.entry, "calls", "--json"])
        assert code == 0 and len(calls.splitlines()) == 4, calls
        code, said = image.run(data, extra, [*image.entry, "man", "/manual"])
        assert code == 1 and "Read-only" in said, said
        assert any(asked), "the name server was not asked"
        print(f"4 calls through it, each in the ledger; {len(asked)} questions to the name server; root read-only")
    finally:
        for one in (proxy, upstream):
            if one and one.poll() is None:
                one.kill()
                one.wait()
        shutil.rmtree(data)


if __name__ == "__main__":
    main()
