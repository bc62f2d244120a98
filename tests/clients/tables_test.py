"""The tables of a workspace in other programs' hands: deltalake reads and appends in place, DuckDB reads, and the index follows."""
import time

import duckdb
from deltalake import DeltaTable, write_deltalake


def location(server, table):
    status, _, got = server.request("GET", f"/api/2.1/unity-catalog/tables/{table}")
    assert status == 200, got
    return got["storage_location"].removeprefix("file://")


def count(server, table):
    status, _, got = server.request("POST", "/api/2.0/sql/statements",
                                    {"statement": f"SELECT count(*) FROM {table}", "warehouse_id": "local", "wait_timeout": "50s"})
    assert got["status"]["state"] == "SUCCEEDED", got
    return int(got["result"]["data_array"][0][0])


def test_deltalake_and_duckdb_read(server):
    table = DeltaTable(location(server, "main.docs.chunks"))
    rows = table.to_pyarrow_table()
    assert rows.num_rows == count(server, "main.docs.chunks") > 0
    chunks = table.to_pyarrow_dataset()  # noqa: F841: DuckDB finds it by name
    assert duckdb.sql("SELECT count(*) FROM chunks WHERE text LIKE '%8443%'").fetchone()[0] == 1
    assert len(table.load_cdf(starting_version=1).read_all()) == rows.num_rows


def test_an_append_by_deltalake_becomes_searchable(server):
    path = location(server, "main.docs.chunks")
    row = DeltaTable(path).to_pyarrow_table().slice(0, 1).to_pylist()[0]
    row |= {"id": "f" * 32, "text": "The password of the vault is xylophone.", "source_path": "vault.md", "section": "Vault"}
    import pyarrow as pa
    before = count(server, "main.docs.chunks")
    write_deltalake(path, pa.Table.from_pylist([row], schema=DeltaTable(path).to_pyarrow_dataset().schema), mode="append")
    assert count(server, "main.docs.chunks") == before + 1
    query = {"query_text": "xylophone", "query_type": "FULL_TEXT", "columns": ["id", "source_path"], "num_results": 3}
    for _ in range(100):
        _, _, got = server.request("POST", "/api/2.0/vector-search/indexes/main.docs.chunks_index/query", query)
        if got["result"]["row_count"] == 1:
            break
        time.sleep(0.05)
    assert got["result"]["data_array"][0][:2] == ["f" * 32, "vault.md"], got
    DeltaTable(path).delete("id = '" + "f" * 32 + "'")
    for _ in range(100):
        _, _, got = server.request("POST", "/api/2.0/vector-search/indexes/main.docs.chunks_index/query", query)
        if got["result"]["row_count"] == 0:
            break
        time.sleep(0.05)
    assert got["result"]["row_count"] == 0, got


def test_payload_rows_are_a_delta_table(server):
    status, _, answer = server.request("POST", "/v1/chat/completions", {
        "model": "docs-assistant", "messages": [{"role": "user", "content": "When are refunds processed?"}]})
    assert status == 200, answer
    wanted = answer["databricks_output"]["databricks_request_id"]
    for _ in range(60):
        try:
            rows = DeltaTable(location(server, "main.docs.assistant_payload")).to_pyarrow_table().to_pylist()
        except AssertionError:
            rows = []  # made with its first row
        mine = [row for row in rows if row["databricks_request_id"] == wanted]
        if mine:
            break
        time.sleep(0.05)
    assert len(mine) == 1 and mine[0]["status_code"] == 200 and mine[0]["requester"] == "admin"
    assert set(rows[0]) == {"databricks_request_id", "request_date", "client_request_id", "request_time", "status_code", "sampling_fraction",
                            "execution_duration_ms", "request", "response", "logging_error_codes", "served_entity_id", "requester"}
