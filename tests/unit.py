#!/usr/bin/env python3
"""Runs the unit tests of a build folder, two at a time, and counts single tests: unit.py BUILD [MODULE...]"""
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import time

TIMEOUT = 900


def run(program):
    begin = time.monotonic()
    try:
        result = subprocess.run([program, "--gtest_brief=1"], capture_output=True, text=True, errors="replace", timeout=TIMEOUT)
        output, code = result.stdout + result.stderr, result.returncode
    except subprocess.TimeoutExpired as expired:
        output, code = (expired.stdout or b"").decode(errors="replace") + f"\nran past {TIMEOUT} s", -1
    return program.name, output, code, time.monotonic() - begin


def main():
    build, *names = sys.argv[1:]
    programs = sorted(p for p in pathlib.Path(build, "src").rglob("*_test") if p.is_file() and p.stat().st_mode & 0o111)
    if names:
        programs = [p for p in programs if p.name.removesuffix("_test") in names]
    if not programs:
        sys.exit("no such unit test")
    passed = failed = skipped = 0
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, output, code, seconds in pool.map(run, programs):
            def count(pattern):
                found = re.findall(pattern, output)
                return int(found[-1]) if found else 0
            ok, bad, out = count(r"\[  PASSED  \] (\d+) test"), count(r"\[  FAILED  \] (\d+) test"), count(r"\[  SKIPPED \] (\d+) test")
            if code != 0 and bad == 0:
                bad = 1  # crashed
            passed, failed, skipped = passed + ok, failed + bad, skipped + out
            print(f"{name}: {ok} passed, {bad} failed, {out} skipped in {seconds:.1f} s")
            if bad:
                print(output[-6000:])
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
