"""What the suites with real engines share: processes, waiting, checks."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

KEY = "sk-tp-real"


class Bench:
    """The processes, and what the checks found."""

    def __init__(self, tailplane):
        self.tailplane, self.children, self.logs = tailplane, {}, {}
        self.dir = tempfile.TemporaryDirectory(prefix="tailplane-real-")
        self.passed, self.failed = 0, 0

    def start(self, name, args):
        log = open(pathlib.Path(self.dir.name) / (name + ".log"), "w+")
        env = os.environ | {"REAL_CLIENT_KEY": KEY}
        self.logs[name] = log
        self.children[name] = subprocess.Popen(args, stdout=log, stderr=subprocess.STDOUT, env=env)

    def kill(self, name):
        child = self.children.pop(name)
        child.send_signal(signal.SIGKILL)
        child.wait()

    def close(self):
        for name in list(self.children):
            self.kill(name)
        for log in self.logs.values():
            log.close()
        self.dir.cleanup()

    def check(self, name, run):
        begun = time.monotonic()
        try:
            told = run() or ""
            self.passed += 1
            print(f"  ok    {name}  ({time.monotonic() - begun:.1f} s){told and '  ' + told}", flush=True)
        except Exception as error:
            self.failed += 1
            print(f"  FAIL  {name}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}", flush=True)

    def why(self, request):
        """The ledger's record of a request."""
        command = [self.tailplane, "why", request, "-o", "json", "--state", self.dir.name + "/state"]
        for _ in range(50):  # the journal drains into the store in batches
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode == 0 and json.loads(done.stdout).get("outcome"):
                return json.loads(done.stdout)
            time.sleep(0.1)
        raise AssertionError(f"no record of {request}: {done.stderr.strip()}")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait(url, child, seconds=120):
    until = time.monotonic() + seconds
    while time.monotonic() < until and child.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"{url} did not come up")


def expect(ok, why):
    if not ok:
        raise AssertionError(why)
