#!/usr/bin/env python3
"""Runs the request corpus (*.http beside this file) against the real server.

    run.py [--restarts] [--seed N] [NAME...]

A file is a list of cases, separated by lines of ---. A case:

    # what it shows
    POST /api/2.1/unity-catalog/catalogs          or: POST /path AS ada   (the token saved as ada)
    Content-Type: application/json                (optional headers; "Authorization: none" sends no token)

    {"name": "sales"}                             (optional body)

    => 200
    {"name": "sales", "id": "$any", "owner": "$save:owner"}

The expected body is a subset: keys that it does not name may be there. "$any" is any value, "$absent" no such key, "$save:x"
keeps the value, ${x} puts it in, "$re:..." a regular expression that must match the whole text, "$has:..." a part of a text, "$not:..." no part of it. A status
REFUSED is 403 or 404. A body "$hex:..." is sent as those bytes, "$repeat:COUNT:TEXT" as that text over and over. A list must have as many items,
unless its last is "$more". With --restarts the server is killed with SIGKILL and started again between cases, but before those whose title says [no restart].
"""
import argparse
import json
import pathlib
import random
import re
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from server import Server  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
MISSING = object()
REFUSED = (403, 404)  # closed: whether it says so or hides the object is the catalog's choice


class Mismatch(Exception):
    pass


def fill(text, saved):
    def value(match):
        if match[1] not in saved:
            raise Mismatch(f"nothing was saved as {match[1]}")
        return str(saved[match[1]])
    return re.sub(r"\$\{(\w+)\}", value, text)


def compare(expected, got, saved, path="body"):
    if isinstance(expected, str) and expected.startswith("$"):
        kind, _, rest = expected[1:].partition(":")
        if kind == "absent":
            if got is not MISSING:
                raise Mismatch(f"{path} should be absent, is {got!r}")
            return
        if got is MISSING:
            raise Mismatch(f"{path} is missing")
        if kind == "any":
            return
        if kind == "save":
            saved[rest] = got
            return
        if kind == "re":
            if not isinstance(got, str) or not re.fullmatch(rest, got, re.S):
                raise Mismatch(f"{path} is {got!r}, expected to match {rest}")
            return
        if kind == "not":
            if rest in json.dumps(got):
                raise Mismatch(f"{path} holds {rest!r}: {got!r}")
            return
        if kind == "has":
            if rest not in (got if isinstance(got, str) else json.dumps(got)):
                raise Mismatch(f"{path} is {got!r}, expected to hold {rest!r}")
            return
    if got is MISSING:
        raise Mismatch(f"{path} is missing")
    if isinstance(expected, dict):
        if not isinstance(got, dict):
            raise Mismatch(f"{path} is {got!r}, expected an object")
        for key, value in expected.items():
            compare(value, got.get(key, MISSING), saved, f"{path}.{key}")
    elif isinstance(expected, list):
        if not isinstance(got, list):
            raise Mismatch(f"{path} is {got!r}, expected a list")
        more = bool(expected) and expected[-1] == "$more"
        wanted = expected[:-1] if more else expected
        if len(got) < len(wanted) or (len(got) > len(wanted) and not more):
            raise Mismatch(f"{path} has {len(got)} items, expected {len(wanted)}{' or more' if more else ''}: {got!r}")
        for i, value in enumerate(wanted):
            compare(value, got[i], saved, f"{path}[{i}]")
    elif isinstance(expected, bool) or isinstance(got, bool) or isinstance(expected, str):
        if expected is not got and expected != got:
            raise Mismatch(f"{path} is {got!r}, expected {expected!r}")
    elif expected != got:
        raise Mismatch(f"{path} is {got!r}, expected {expected!r}")


def parse(text):
    cases = []
    for part in re.split(r"^---\s*$", text, flags=re.M):
        lines = [line for line in part.strip("\n").split("\n")]
        title = " ".join(line[1:].strip() for line in lines if line.startswith("#"))
        lines = [line for line in lines if not line.startswith("#")]
        while lines and not lines[0].strip():
            lines.pop(0)
        if not lines:
            continue
        request, _, expected = "\n".join(lines).partition("\n=> ")
        head, _, body = request.partition("\n\n")
        first, *headers = head.split("\n")
        status, _, answer = expected.partition("\n")
        statuses = REFUSED if status == "REFUSED" else [int(status)]
        cases.append((title, first, headers, body.strip(), statuses, answer.strip()))
    return cases


def run_case(server, case, saved):
    title, first, headers, body, statuses, expected = case
    first = fill(first, saved)
    match = re.fullmatch(r"(\w+) (\S+)(?: AS (\w+))?", first)
    if not match:
        raise Mismatch(f"not a request line: {first}")
    method, path, who = match.groups()
    sent = dict(fill(line, saved).split(": ", 1) for line in headers if line)
    data = fill(body, saved)
    if data.startswith("$repeat:"):  # "$repeat:COUNT:TEXT": bodies too large to write down
        _, count, text = data.split(":", 2)
        data = text * int(count)
    if data.startswith("$hex:"):  # bytes that are not text
        data = bytes.fromhex(data[5:])
    elif data:
        data = data.encode()
    data = data or None
    token = saved[who] if who else None
    if sent.get("Authorization") == "none":
        sent["Authorization"] = None
    got_status, _, got = server.request(method, path, data, sent, token)
    if got_status not in statuses:
        raise Mismatch(f"status {got_status}, expected {' or '.join(map(str, statuses))}: {json.dumps(got)[:600]}")
    if expected:
        try:
            wanted = json.loads(fill(expected, saved))
        except ValueError:
            wanted = fill(expected, saved)
        compare(wanted, got, saved)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("names", nargs="*")
    arguments.add_argument("--restarts", action="store_true")
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = arguments.parse_args()
    files = sorted(HERE.glob("*.http"))
    if options.names:
        files = [f for f in files if f.stem in options.names]
        missing = set(options.names) - {f.stem for f in files}
        if missing:
            sys.exit(f"no such corpus file: {', '.join(sorted(missing))}")
    random.Random(options.seed).shuffle(files)  # files must not lean on each other
    print(f"seed {options.seed}")
    passed = failed = 0
    with Server() as server:
        for file in files:
            saved = {}
            for number, case in enumerate(parse(file.read_text()), 1):
                try:
                    if options.restarts and "[no restart]" not in case[0]:
                        server.restart(signal.SIGKILL)
                    run_case(server, case, saved)
                    passed += 1
                except Mismatch as why:
                    failed += 1
                    print(f"{file.name}, case {number}: {case[0] or case[1]}\n    {case[1]}\n    {why}")
        if failed:
            print(server.log()[-1500:])
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
