#!/usr/bin/env python3
"""House rules that a regular expression can hold: banned calls and their replacement, file sizes, left-over markers."""
import pathlib
import re
import subprocess
import sys

RULES = [
    (r"\bstd::regex\b", "std::regex: write a small parser, or use ICU"),
    (r"#include <(iostream|sstream|fstream)>", "streams: use base/format.h and base/file.h"),
    (r"\busing namespace (?!std::\w*literals)", "using namespace: name what you use"),
    (r"^\s*friend\b", "friend: test and use a class through its public interface"),
    (r"\b(TODO|FIXME|XXX|HACK)\b", "left-over marker: do it, or say in the documents that it is not done"),
    (r"\bco_await\b", "co_await outside net: handlers are plain functions"),
    (r"\bsprintf\(|\bstrcpy\(|\bgets\(", "unbounded C call: use base/format.h"),
    (r"\brand\(\)", "weak randomness: use base/id.h"),
]
CO_AWAIT_ROOMS = ("src/net/",)
BAD_NAMES = re.compile(r"(util|helper|common|manager|misc)s?\b", re.I)
MAX_LINES = 800
THIRD_PARTY = re.compile(r"#include <(asio|curl/|llhttp|duckdb|sqlite3|yyjson|spdlog/(?!fwd)|openssl/|sodium|zip\.h|lexbor/|md4c|unicode/|hnswlib|llama|ggml|CLI/)")


def tracked(root):
    return subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=root, check=True,
                          capture_output=True, text=True).stdout.split("\n")


def check_file(name, text):
    found = []
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        found.append(f"{name}: {len(lines)} lines; a file of one idea has at most {MAX_LINES}")
    if BAD_NAMES.search(pathlib.PurePath(name).stem.replace("_", " ")):
        found.append(f"{name}: the name says nothing; name the concept")
    for number, line in enumerate(lines, 1):
        code = line.split("//")[0] if "TODO" not in line and "FIXME" not in line else line
        for pattern, rule in RULES:
            if "co_await" in pattern and name.startswith(CO_AWAIT_ROOMS):
                continue
            if name.endswith("_test.cpp") and ("streams:" in rule or "using namespace" in rule):
                continue
            if re.search(pattern, code):
                found.append(f"{name}:{number}: {rule}")
        if name.endswith(".h") and THIRD_PARTY.search(line) and "/detail/" not in name:
            found.append(f"{name}:{number}: third-party header in a module header; keep it in the source")
    if name.endswith(".h") and "#pragma once" not in text:
        found.append(f"{name}: no #pragma once")
    return found


def problems(root):
    found = []
    for name in tracked(root):
        if name.startswith("src/") and name.endswith((".h", ".cpp")) and (root / name).exists():
            found += check_file(name, (root / name).read_text())
    return found


def self_test():
    assert check_file("src/base/a.cpp", "std::regex r;\n")
    assert check_file("src/base/string_utils.cpp", "\n")
    assert check_file("src/base/a.h", "#pragma once\n#include <curl/curl.h>\n")
    assert check_file("src/base/a.cpp", "x\n" * 801)
    assert not check_file("src/net/a.cpp", "co_await x;\n")
    assert not check_file("src/base/a.h", "#pragma once\n// a comment about std::regex\n")


if __name__ == "__main__":
    self_test()
    found = problems(pathlib.Path(__file__).resolve().parents[2])
    print("\n".join(found) if found else "style holds")
    sys.exit(bool(found))
