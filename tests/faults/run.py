#!/usr/bin/env python3
"""What a workspace survives: kill -9 under requests, writers and the sync; wrong starts. Each case is a function; closes with counts.

    run.py [--rounds N] [--seed N] [NAME...]
"""
import argparse
import json
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))
from conftest import make_assistant  # noqa: E402
from server import Server, bin_dir  # noqa: E402

QUESTION = {"model": "docs-assistant", "messages": [{"role": "user", "content": "What is the default port of the server?"}]}


def rows(server, statement):
    status, _, got = server.request("POST", "/api/2.0/sql/statements",
                                    {"statement": statement, "warehouse_id": "local", "wait_timeout": "50s"})
    assert status == 200 and got["status"]["state"] == "SUCCEEDED", got
    return got["result"].get("data_array", [])


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def assistant(server, folder):
    make_assistant(server, pathlib.Path(folder))


def killed_under_requests(rounds, rng):
    """Every acknowledged answer is one trace and one payload row, across kill -9 at random moments."""
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        assistant(server, folder)
        answered = {}
        for _ in range(rounds):
            stop = threading.Event()

            def ask():
                while not stop.is_set():
                    try:
                        status, _, got = server.request("POST", "/v1/chat/completions", QUESTION)
                    except OSError:
                        return
                    if status == 200:
                        answered[got["databricks_output"]["databricks_request_id"]] = got["databricks_output"]["trace_id"]
            threads = [threading.Thread(target=ask) for _ in range(3)]
            for thread in threads:
                thread.start()
            time.sleep(rng.uniform(0.05, 0.6))
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            stop.set()
            for thread in threads:
                thread.join()
            server.start()
        assert answered, "no request was answered between the kills"
        table = "main.docs.assistant_payload"
        assert until(lambda: {r[0] for r in rows(server, f"SELECT databricks_request_id FROM {table}")} >= set(answered)), "rows are missing"
        doubled = rows(server, f"SELECT databricks_request_id, count(*) FROM {table} GROUP BY 1 HAVING count(*) > 1")
        assert not doubled, f"rows are there twice: {doubled}"
        for trace in answered.values():
            status, _, got = server.request("GET", f"/api/3.0/mlflow/traces/get?trace_id={trace}")
            assert status == 200, got
        mirrored = "SELECT trace_id, count(*) FROM system.mlflow.traces GROUP BY 1"
        assert until(lambda: {r[0] for r in rows(server, mirrored)} >= set(answered.values())), "mirrored traces are missing"
        assert all(r[1] == "1" for r in rows(server, mirrored)), "mirrored traces are there twice"


def killed_under_ingest(rounds, rng):
    """Documents change while the server is killed again and again; at the end tables and index are what the folder says."""
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        assistant(server, folder)
        documents = pathlib.Path(folder)
        for number in range(rounds):
            (documents / f"new-{number % 7}.md").write_text(f"# New {number}\n\nThe magic word of round {number} is word{number}.\n")
            steps = threading.Thread(target=lambda: [server.lakeloop(*step, check=False) for step in (
                ("ingest", folder), ("chunk",), ("sql", "SELECT 1"))])
            steps.start()
            time.sleep(rng.uniform(0.05, 0.8))
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
            steps.join()
            server.start()
        server.lakeloop("ingest", folder)
        server.lakeloop("chunk")
        server.lakeloop("index", "create", "main.docs.chunks_index", "--table", "main.docs.chunks", "--if-absent", "--wait")
        pages = {r[0] for r in rows(server, "SELECT source_path FROM main.docs.pages")}
        assert pages == {p.name for p in documents.glob("*.md")}, pages
        last = rounds - 1
        found = server.lakeloop("index", "query", "main.docs.chunks_index", f"word{last}", "--type", "FULL_TEXT").stdout
        assert f"new-{last % 7}.md" in found, found
        doubled = rows(server, "SELECT id FROM main.docs.chunks GROUP BY id HAVING count(*) > 1")
        assert not doubled, doubled


def index_opens_without_rebuild(_rounds, _rng):
    """A restart keeps the manifest; a damaged segment is rebuilt from the table and said so; a deleted folder loses nothing."""
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        assistant(server, folder)
        state = lambda: server.request("GET", "/api/2.0/vector-search/indexes/main.docs.chunks_index")[2]["status"]  # noqa: E731
        before = state()
        server.restart()
        assert until(lambda: state()["ready"])
        assert state()["manifest"] == before["manifest"], (before, state())
        server.stop()
        import shutil
        shutil.rmtree(server.data / "indexes")
        server.start()
        assert until(lambda: state().get("ready") and state()["indexed_row_count"] == before["indexed_row_count"]), state()
        answer = server.request("POST", "/v1/chat/completions", QUESTION)[2]
        assert "8443" in answer["choices"][0]["message"]["content"], answer


def wrong_starts(_rounds, _rng):
    """Port in use, folder in use, newer folder, token that others can read: each is refused with a message that says what to do."""
    def refused(server, *words):
        result = subprocess.run([bin_dir() / "lakeloop", "--data", server.data, "server", *server.args], capture_output=True, text=True,
                                timeout=60)
        assert result.returncode != 0
        for word in words:
            assert word in result.stderr, (word, result.stderr)
    with Server() as server:
        refused(server, "another lakeloop server", str(server.data))
        server.stop()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            server.args = ["--listen", f"127.0.0.1:{taken.getsockname()[1]}"]
            refused(server, str(taken.getsockname()[1]))
        server.args = ["--listen", "nonsense"]
        refused(server, "--listen must be HOST:PORT")
        server.args = ["--listen", "127.0.0.1:0"]
        (server.data / "admin.token").chmod(0o644)
        refused(server, "chmod 600")
        (server.data / "admin.token").chmod(0o600)
        layout = server.data / "layout"
        kept = layout.read_text()
        layout.write_text("999\n")
        refused(server, "layout 999", "newer lakeloop")
        layout.write_text(kept)
        (server.data / "server.json").unlink(missing_ok=True)
        server.args = []
        server.start()
        assert server.request("GET", "/health")[2] == "OK"


def worker_killed(_rounds, _rng):
    """A model worker that is killed: the request in flight gets a clear error, the next one is answered."""
    with Server() as server, tempfile.TemporaryDirectory() as folder:
        assistant(server, folder)
        body = {"model": "local-chat", "messages": QUESTION["messages"], "max_tokens": 8, "temperature": 0}
        status, _, first = server.request("POST", "/v1/chat/completions", body)
        assert status == 200, first
        workers = subprocess.run(["pgrep", "-P", str(server.process.pid), "-f", "lakeloop-llm"], capture_output=True, text=True).stdout.split()
        assert workers, "no worker runs"
        for worker in workers:
            subprocess.run(["kill", "-9", worker], check=True)

        def answered():
            got_status, headers, got = server.request("POST", "/v1/chat/completions", body)
            if got_status == 200:
                return got["choices"][0]["message"]["content"] == first["choices"][0]["message"]["content"]
            assert got_status in (502, 503), got
            assert got["error"]["message"], got
            return False
        assert until(answered), "the worker did not come back"


CASES = [killed_under_requests, killed_under_ingest, index_opens_without_rebuild, wrong_starts, worker_killed]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("names", nargs="*")
    arguments.add_argument("--rounds", type=int, default=12)
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = arguments.parse_args()
    print(f"seed {options.seed}")
    passed = failed = 0
    for case in CASES:
        if options.names and case.__name__ not in options.names:
            continue
        try:
            case(options.rounds, random.Random(options.seed))
            passed += 1
            print(f"ok      {case.__name__}")
        except Exception:  # noqa: BLE001: every failure is counted
            failed += 1
            print(f"FAILED  {case.__name__}")
            traceback.print_exc(limit=4, file=sys.stdout)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
