#!/usr/bin/env python3
"""clang-tidy with the few checks that are errors here (.clang-tidy), over every source of the build: tidy.py BUILD CACHE

A source whose text, headers and checks are as they were when it passed is not read again: the cache keeps a stamp for each.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def dependencies(build):
    """source -> project headers that its last compilation read."""
    found, current = {}, []
    for line in subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True, check=True).stdout.splitlines():
        if line.startswith("    "):
            path = pathlib.Path(build, line.strip()).resolve()
            if path.is_relative_to(ROOT):
                current.append(path)
        else:
            if current:
                found[current[0]] = current
            current = []
    if current:
        found[current[0]] = current
    return found


def key(paths, salt):
    digest = hashlib.sha256(salt)
    for path in sorted(paths):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def main():
    build, cache = sys.argv[1], pathlib.Path(sys.argv[2])
    cache.mkdir(parents=True, exist_ok=True)
    salt = (ROOT / ".clang-tidy").read_bytes()
    deps = dependencies(build)
    entries = {pathlib.Path(entry["file"]).resolve() for entry in json.loads(pathlib.Path(build, "compile_commands.json").read_text())}
    sources = sorted(p for p in entries if p.is_relative_to(ROOT / "src") and not p.name.endswith("_test.cpp"))

    def check(source):
        stamp = cache / key(deps.get(source, [source]), salt)
        if stamp.exists():
            return source, True, ""
        result = subprocess.run(["clang-tidy-22", "-p", build, "--quiet", str(source)], capture_output=True, text=True)
        if result.returncode == 0:
            stamp.touch()
        return source, result.returncode == 0, result.stdout

    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for source, ok, output in pool.map(check, sources):
            passed, failed = passed + ok, failed + (not ok)
            if not ok:
                print(f"{source.relative_to(ROOT)}\n{output[:3000]}")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
