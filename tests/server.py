"""A real server on a data folder of its own, for tests: started, asked, killed, started again."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[1]


def bin_dir():
    return pathlib.Path(os.environ["LAKELOOP_BIN_DIR"])


class Server:
    def __init__(self, data=None, args=()):
        self.own = data is None
        self.data = pathlib.Path(data or tempfile.mkdtemp(prefix="lakeloop-test-"))
        self.args = list(args)
        self.process = None

    def start(self, wait=60):
        log = open(self.data / "test-server.log", "ab")
        self.process = subprocess.Popen([bin_dir() / "lakeloop", "--data", self.data, "server", "--listen", "127.0.0.1:0", *self.args],
                                        stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until = time.monotonic() + wait
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with {self.process.returncode}:\n{self.log()[-2000:]}")
            try:
                about = json.loads((self.data / "server.json").read_text())
                if about["pid"] == self.process.pid:
                    self.url = about["url"]
                    self.token = (self.data / "admin.token").read_text().strip()
                    return self
            except (OSError, ValueError):
                pass
            time.sleep(0.02)
        raise RuntimeError("the server did not start:\n" + self.log()[-2000:])

    def log(self):
        return (self.data / "test-server.log").read_text(errors="replace")

    def stop(self, sig=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(sig)
            self.process.wait(30)
        return self.process.returncode if self.process else None

    def restart(self, sig=signal.SIGTERM):
        self.stop(sig)
        return self.start()

    def close(self):
        self.stop()
        if self.own:
            shutil.rmtree(self.data, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def request(self, method, path, body=None, headers=None, token=None, raw=False):
        """(status, headers, body): body parsed as JSON when it is JSON."""
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Authorization", f"Bearer {self.token if token is None else token}")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        for key, value in (headers or {}).items():
            request.remove_header(key.capitalize())
            if value is not None:
                request.add_header(key, value)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                status, got, text = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            status, got, text = error.code, error.headers, error.read()
        if not raw:
            try:
                text = json.loads(text)
            except ValueError:
                text = text.decode(errors="replace")
        return status, got, text

    def lakeloop(self, *args, check=True):
        result = subprocess.run([bin_dir() / "lakeloop", "--data", self.data, *args], capture_output=True, text=True, timeout=300)
        if check and result.returncode != 0:
            raise AssertionError(f"lakeloop {' '.join(args)}: {result.returncode}\n{result.stdout}\n{result.stderr}\n{self.log()[-1500:]}")
        return result
