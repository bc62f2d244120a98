"""The Delta tables of the server and those of delta-rs, read and written by both.

The unit test program delta_test of the same build, beside LAKELOOP_BIN_DIR, is our side of it.
"""

import datetime
import decimal
import json
import os
import pathlib
import subprocess

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ["LAKELOOP_BIN_DIR"]).parent / "src" / "delta_test"


def driver(test, **env):
    command = [str(PROGRAM), f"--gtest_filter=DeltaInterop.{test}"]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SKIPPED" not in done.stdout


def ours(table, out, **env):
    driver("Dump", DELTA_INTEROP_TABLE=str(table), DELTA_INTEROP_OUT=str(out), **env)
    return json.loads(pathlib.Path(out).read_text())


def plain(value):
    """A value of pyarrow as the driver writes it."""
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.timezone.utc)
        return (value - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(microseconds=1)
    if isinstance(value, datetime.date):
        return (value - datetime.date(1970, 1, 1)).days
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return {k: plain(v) for k, v in value}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value


def theirs(table):
    names = [field.name for field in DeltaTable(table).schema().fields]
    data = pa.table(DeltaTable(table).to_pyarrow_table()).select(names)
    return [[plain(row[name]) for name in names] for row in data.to_pylist()]


KINDS = {"insert": "insert", "update_preimage": "pre", "update_postimage": "post", "delete": "delete"}


def their_changes(table, start=0):
    names = [field.name for field in DeltaTable(table).schema().fields]
    data = pa.table(DeltaTable(table).load_cdf(starting_version=start))
    return [[row["_commit_version"], KINDS[row["_change_type"]], [plain(row[n]) for n in names]] for row in data.to_pylist()]


def same(left, right):
    key = lambda row: json.dumps(row, sort_keys=True)
    assert sorted(map(key, left)) == sorted(map(key, right))


@pytest.fixture(scope="module")
def produced(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ours")
    driver("Produce", DELTA_INTEROP_PRODUCE=str(folder))
    return folder


@pytest.mark.parametrize("name", ["types", "parts", "many"])
def test_they_read_what_we_wrote(produced, tmp_path, name):
    mine = ours(produced / name, tmp_path / "out.json")
    assert DeltaTable(produced / name).version() == mine["version"]
    assert mine["rows"]
    same(theirs(produced / name), mine["rows"])


def test_their_feed_of_our_tables(produced, tmp_path):
    # Without the history before the checkpoint they would have to read it; both read every version here.
    mine = ours(produced / "many", tmp_path / "out.json")
    same(their_changes(produced / "many"), mine["changes"])
    kinds = {kind for _, kind, _ in mine["changes"]}
    assert kinds == {"insert", "pre", "post", "delete"}


def test_they_start_from_our_checkpoint(produced, tmp_path):
    log = produced / "many" / "_delta_log"
    assert (log / "00000000000000000010.checkpoint.parquet").exists()
    copy = tmp_path / "many"
    subprocess.run(["cp", "-r", str(produced / "many"), str(copy)], check=True)
    for version in range(10):
        (copy / "_delta_log" / f"{version:020}.json").unlink()
    same(theirs(copy), ours(copy, tmp_path / "out.json", DELTA_INTEROP_FROM="11")["rows"])
    assert DeltaTable(copy).transaction_version("interop") == 12


def test_they_skip_files_by_our_statistics(produced):
    actions = pa.table(DeltaTable(produced / "many").get_add_actions(flatten=True))
    assert sum(actions["num_records"].to_pylist()) == len(theirs(produced / "many"))
    data = DeltaTable(produced / "many").to_pyarrow_dataset()
    import pyarrow.compute as pc

    assert data.to_table(filter=pc.field("id") == 1000)["s"].to_pylist() == ["new"]


def test_both_change_one_table(tmp_path):
    driver("Produce", DELTA_INTEROP_PRODUCE=str(tmp_path))
    table = tmp_path / "many"
    write_deltalake(table, pa.table({"id": pa.array([5000], pa.int64()), "s": ["theirs"]}), mode="append")
    DeltaTable(table).delete("id = 7")
    DeltaTable(table).update(predicate="id = 8", updates={"s": "'updated'"})
    mine = ours(table, tmp_path / "out.json", DELTA_INTEROP_APPEND='[[6000,"ours"]]')
    assert [6000, "ours"] in mine["rows"] and [5000, "theirs"] in mine["rows"] and [8, "updated"] in mine["rows"]
    same(theirs(table), mine["rows"])
    same(their_changes(table), mine["changes"])
    DeltaTable(table).create_checkpoint()
    DeltaTable(table).optimize.compact()
    same(theirs(table), ours(table, tmp_path / "out.json")["rows"])


def test_we_read_what_they_wrote(tmp_path):
    table = tmp_path / "theirs"
    keys = [None, "", "a/b", "100%", "x=y", "sp ace", "ü", "a:b", "a%2Fb", "#?", "it's"]
    day = datetime.date(2026, 1, 2)
    at = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.timezone.utc)
    data = pa.table(
        {
            "n": pa.array(range(len(keys)), pa.int64()),
            "k": pa.array(keys, pa.string()),
            "day": pa.array([day if i % 2 else None for i in range(len(keys))], pa.date32()),
            "at": pa.array([at if i % 3 else None for i in range(len(keys))], pa.timestamp("us", tz="UTC")),
            "m": pa.array([decimal.Decimal("1.50")] * len(keys), pa.decimal128(10, 2)),
            "f": pa.array([0.1] * len(keys), pa.float32()),
            "l": pa.array([[1, None]] * len(keys), pa.list_(pa.int32())),
            "b": pa.array([b"\x00\xff"] * len(keys), pa.binary()),
        }
    )
    write_deltalake(table, data, partition_by=["k", "day", "at"])
    same(theirs(table), ours(table, tmp_path / "out.json")["rows"])


def test_we_read_their_feed(tmp_path):
    table = tmp_path / "feed"
    rows = pa.table({"id": pa.array(range(10), pa.int64()), "s": [f"v{i}" for i in range(10)]})
    write_deltalake(table, rows, configuration={"delta.enableChangeDataFeed": "true"})
    DeltaTable(table).delete("id < 3")
    DeltaTable(table).update(predicate="id = 5", updates={"s": "'five'"})
    source = pa.table({"id": pa.array([6, 77], pa.int64()), "s": ["six", "new"]})
    (
        DeltaTable(table)
        .merge(source, predicate="t.id = s.id", source_alias="s", target_alias="t")
        .when_matched_update_all()
        .when_not_matched_insert_all()
        .execute()
    )
    mine = ours(table, tmp_path / "out.json")
    same(theirs(table), mine["rows"])
    same(their_changes(table), mine["changes"])


def test_null_is_not_true_in_both(tmp_path):
    table = tmp_path / "null"
    write_deltalake(table, pa.table({"id": pa.array([1, 2, 3], pa.int64()), "s": ["keep", None, "drop"]}))
    DeltaTable(table).delete("s <> 'keep'")
    same(ours(table, tmp_path / "out.json")["rows"], [[1, "keep"], [2, None]])
