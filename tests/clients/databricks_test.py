"""The unmodified databricks-sdk and databricks-vectorsearch: identity, catalog, grants, SQL, serving, search."""
import uuid

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (AlreadyExists, BadRequest, InvalidParameterValue, NotFound, PermissionDenied, ResourceAlreadyExists,
                                   Unauthenticated)
from databricks.sdk.service import iam, sql
from databricks.sdk.service.catalog import ColumnInfo, ColumnTypeName, DataSourceFormat, PermissionsChange, Privilege, TableType
from databricks.sdk.service.serving import ChatMessage, ChatMessageRole, EndpointCoreConfigInput, ServedEntityInput
from databricks.vector_search.client import VectorSearchClient

TAKEN = (AlreadyExists, ResourceAlreadyExists)
REFUSED = (PermissionDenied, NotFound)
WRONG = (BadRequest, InvalidParameterValue)


def client(server, token=None):
    return WorkspaceClient(host=server.url, token=token or server.token)


@pytest.fixture
def w(server):
    return client(server)


@pytest.fixture(scope="module")
def reader(server):
    """A user without rights, and a client of theirs."""
    admin = client(server)
    name = f"reader-{uuid.uuid4().hex[:8]}@example.com"
    admin.users.create(user_name=name, display_name="Reader")
    token = admin.token_management.create_obo_token(application_id=name, comment="tests", lifetime_seconds=3600)
    return name, client(server, token.token_value)


@pytest.fixture(scope="module")
def schema(server):
    """A schema of this module's own."""
    w = client(server)
    name = "sdk_" + uuid.uuid4().hex[:8]
    w.schemas.create(name=name, catalog_name="main", comment="of the SDK's tests")
    yield f"main.{name}"
    w.schemas.delete(f"main.{name}", force=True)


def rows(w, statement, **more):
    answer = w.statement_execution.execute_statement(statement=statement, warehouse_id="local", wait_timeout="50s", **more)
    assert answer.status.state == sql.StatementState.SUCCEEDED, answer.status
    return answer.result.data_array or []


def test_who_am_i(w):
    me = w.current_user.me()
    assert me.user_name == "admin" and me.active
    assert "admins" in [group.display for group in me.groups]
    assert w.get_workspace_id() > 0
    assert str(w.get_workspace_id()) == w.config.workspace_id


def test_users_and_groups(w):
    name = f"ada-{uuid.uuid4().hex[:8]}@example.com"
    user = w.users.create(user_name=name, display_name="Ada")
    assert w.users.get(user.id).user_name == name
    assert [found.id for found in w.users.list(filter=f'userName eq "{name}"')] == [user.id]
    assert name in [found.user_name for found in w.users.list()]
    with pytest.raises(TAKEN):
        w.users.create(user_name=name)
    group = w.groups.create(display_name=f"group-{uuid.uuid4().hex[:8]}", members=[iam.ComplexValue(value=user.id)])
    assert [member.value for member in w.groups.get(group.id).members] == [user.id]
    w.groups.patch(group.id, operations=[iam.Patch(op=iam.PatchOp.REMOVE, path=f'members[value eq "{user.id}"]')],
                   schemas=[iam.PatchSchema.URN_IETF_PARAMS_SCIM_API_MESSAGES_2_0_PATCH_OP])
    assert not w.groups.get(group.id).members
    w.users.delete(user.id)
    assert w.users.get(user.id).active is False
    principal = w.service_principals.create(display_name="job")
    assert w.service_principals.get(principal.id).application_id


def test_tokens(server, w):
    made = w.tokens.create(comment="short", lifetime_seconds=600)
    assert made.token_info.token_id in [token.token_id for token in w.tokens.list()]
    assert client(server, made.token_value).current_user.me().user_name == "admin"
    w.tokens.delete(made.token_info.token_id)
    with pytest.raises(Unauthenticated):
        client(server, made.token_value).current_user.me()


def test_catalogs_and_schemas(w, schema):
    assert "main" in [catalog.name for catalog in w.catalogs.list()]
    assert w.catalogs.get("main").full_name == "main"
    name = "sdk_catalog_" + uuid.uuid4().hex[:8]
    created = w.catalogs.create(name=name, comment="c", properties={"a": "b"})
    assert (created.owner, created.properties) == ("admin", {"a": "b"})
    with pytest.raises(TAKEN):
        w.catalogs.create(name=name)
    assert w.catalogs.update(name, comment="d").comment == "d"
    w.catalogs.delete(name, force=True)
    with pytest.raises(NotFound):
        w.catalogs.get(name)
    assert schema in [found.full_name for found in w.schemas.list("main")]
    assert w.schemas.get(schema).comment == "of the SDK's tests"
    assert w.metastores.current().metastore_id == w.catalogs.get("main").metastore_id


def test_tables(w, schema):
    inner = schema.split(".")[1]
    made = w.tables.create(name="made", catalog_name="main", schema_name=inner, table_type=TableType.MANAGED,
                           data_source_format=DataSourceFormat.DELTA, storage_location="",
                           columns=[ColumnInfo(name="id", type_name=ColumnTypeName.LONG, type_text="bigint", position=0, nullable=False),
                                    ColumnInfo(name="at", type_name=ColumnTypeName.TIMESTAMP, type_text="timestamp", position=1)])
    assert made.full_name == f"{schema}.made"
    table = w.tables.get(made.full_name)
    assert [(column.name, column.type_name, column.nullable) for column in table.columns] == [
        ("id", ColumnTypeName.LONG, False), ("at", ColumnTypeName.TIMESTAMP, True)]
    assert table.table_type == TableType.MANAGED and table.data_source_format == DataSourceFormat.DELTA
    assert w.tables.exists(made.full_name).table_exists and not w.tables.exists(f"{schema}.none").table_exists
    for i in range(4):
        rows(w, f"CREATE TABLE {schema}.t{i} (id BIGINT)")
    names = [found.name for found in w.tables.list("main", inner, max_results=2)]
    assert names == ["made", "t0", "t1", "t2", "t3"]
    w.tables.delete(made.full_name)
    assert not w.tables.exists(made.full_name).table_exists


def test_registered_models(w, schema):
    models = [model.full_name for model in w.registered_models.list()]
    assert "main.docs.assistant" in models and "system.ai.lakeloop_tiny" in models
    model = w.registered_models.get("main.docs.assistant", include_aliases=True)
    assert "champion" in [alias.alias_name for alias in model.aliases]
    version = w.model_versions.get_by_alias("main.docs.assistant", "champion")
    assert version.status.value == "READY"
    assert version.version in [found.version for found in w.model_versions.list("main.docs.assistant")]
    inner = schema.split(".")[1]
    made = w.registered_models.create(catalog_name="main", schema_name=inner, name="empty", comment="none yet")
    assert w.registered_models.get(made.full_name).comment == "none yet"
    with pytest.raises(NotFound):
        w.registered_models.set_alias(made.full_name, "champion", 1)
    w.registered_models.delete(made.full_name)
    with pytest.raises(NotFound):
        w.registered_models.get(made.full_name)


def test_grants(w, reader, schema):
    name, theirs = reader
    table = f"{schema}.granted"
    rows(w, f"CREATE TABLE {table} AS SELECT 1 AS id")
    with pytest.raises(REFUSED):
        theirs.tables.get(table)
    refused = theirs.statement_execution.execute_statement(statement=f"SELECT * FROM {table}", warehouse_id="local")
    assert refused.status.state == sql.StatementState.FAILED and refused.result is None

    def grant(kind, full_name, privilege):
        changed = w.grants.update(kind, full_name, changes=[PermissionsChange(principal=name, add=[privilege])])
        assert privilege in [p for a in changed.privilege_assignments for p in a.privileges]

    grant("catalog", "main", Privilege.USE_CATALOG)
    grant("schema", schema, Privilege.USE_SCHEMA)
    grant("table", table, Privilege.SELECT)
    assert rows(theirs, f"SELECT * FROM {table}") == [["1"]]
    assert [(a.principal, a.privileges) for a in w.grants.get("table", table).privilege_assignments] == [(name, [Privilege.SELECT])]
    effective = w.grants.get_effective("table", table, principal=name).privilege_assignments
    assert [(p.privilege, p.inherited_from_name) for a in effective for p in a.privileges] == [(Privilege.SELECT, None)]
    grant("schema", schema, Privilege.MODIFY)
    effective = w.grants.get_effective("table", table, principal=name).privilege_assignments
    assert (Privilege.MODIFY, schema) in [(p.privilege, p.inherited_from_name) for a in effective for p in a.privileges]
    with pytest.raises(PermissionDenied):
        theirs.grants.update("table", table, changes=[PermissionsChange(principal=name, add=[Privilege.MANAGE])])
    w.grants.update("table", table, changes=[PermissionsChange(principal=name, remove=[Privilege.SELECT])])
    w.grants.update("schema", schema, changes=[PermissionsChange(principal=name, remove=[Privilege.MODIFY])])
    with pytest.raises(PermissionDenied):
        theirs.tables.get(table)


def test_sql(w, schema):
    table = f"{schema}.items"
    rows(w, f"CREATE TABLE {table} (id BIGINT, name STRING, price DECIMAL(10,2))")
    assert rows(w, f"INSERT INTO {table} VALUES (1, 'it''s', 1.50), (2, NULL, NULL)")[0][0] == "2"
    answer = w.statement_execution.execute_statement(
        statement=f"SELECT * FROM {table} WHERE id >= :least ORDER BY id", warehouse_id="local",
        parameters=[sql.StatementParameterListItem(name="least", value="1", type="BIGINT")])
    assert [(column.name, column.type_name.value) for column in answer.manifest.schema.columns] == [
        ("id", "LONG"), ("name", "STRING"), ("price", "DECIMAL")]
    assert answer.result.data_array == [["1", "it's", "1.50"], ["2", None, None]]
    assert w.statement_execution.get_statement(answer.statement_id).result.data_array == answer.result.data_array
    assert w.statement_execution.get_statement_result_chunk_n(answer.statement_id, 0).row_count == 2
    failed = w.statement_execution.execute_statement(statement=f"SELECT nothing FROM {table}", warehouse_id="local")
    assert failed.status.state == sql.StatementState.FAILED
    assert failed.status.error.error_code == sql.ServiceErrorCode.BAD_REQUEST and "nothing" in failed.status.error.message
    limited = w.statement_execution.execute_statement(statement=f"SELECT id FROM {table} ORDER BY id", warehouse_id="local", row_limit=1)
    assert limited.manifest.truncated and limited.result.data_array == [["1"]]
    with pytest.raises(WRONG):
        w.statement_execution.execute_statement(statement="SELECT 1", warehouse_id="local", wait_timeout="1s")


def test_sql_later(w):
    started = w.statement_execution.execute_statement(statement="SELECT 7", warehouse_id="local", wait_timeout="0s")
    for _ in range(200):
        state = w.statement_execution.get_statement(started.statement_id)
        if state.status.state not in (sql.StatementState.PENDING, sql.StatementState.RUNNING):
            break
    assert state.status.state == sql.StatementState.SUCCEEDED and state.result.data_array == [["7"]]
    w.statement_execution.cancel_execution(started.statement_id)


def test_serving(w):
    assert {"docs-assistant", "local-chat"} <= {endpoint.name for endpoint in w.serving_endpoints.list()}
    assert w.serving_endpoints.get("docs-assistant").state.ready.value == "READY"
    answer = w.serving_endpoints.query(
        "docs-assistant", messages=[ChatMessage(role=ChatMessageRole.USER, content="What is the default port of the server?")])
    assert "8443" in answer.choices[0].message.content
    with pytest.raises(NotFound):
        w.serving_endpoints.get("no-such-endpoint")
    name = "sdk-" + uuid.uuid4().hex[:8]
    made = w.serving_endpoints.create(
        name, config=EndpointCoreConfigInput(name=name, served_entities=[
            ServedEntityInput(entity_name="main.docs.assistant", entity_version="1", workload_size="Small", scale_to_zero_enabled=True)]))
    assert made.response.name == name
    assert w.serving_endpoints.wait_get_serving_endpoint_not_updating(name).state.ready.value == "READY"
    w.serving_endpoints.delete(name)
    with pytest.raises(NotFound):
        w.serving_endpoints.get(name)


def test_vector_search_by_sdk(w):
    index = w.vector_search_indexes.get_index("main.docs.chunks_index")
    assert index.status.ready and index.primary_key
    found = w.vector_search_indexes.query_index("main.docs.chunks_index", columns=[index.primary_key], query_text="default port",
                                                query_type="FULL_TEXT", num_results=1)
    assert found.manifest.columns[-1].name == "score"
    assert found.result.row_count == 1 and len(found.result.data_array[0]) == 2
    listed = [found.name for found in w.vector_search_indexes.list_indexes(index.endpoint_name)]
    assert "main.docs.chunks_index" in listed
    with pytest.raises(NotFound):
        w.vector_search_indexes.get_index("main.docs.no_index")


def test_vector_search_client(server, w):
    search = VectorSearchClient(workspace_url=server.url, personal_access_token=server.token, disable_notice=True)
    about = w.vector_search_indexes.get_index("main.docs.chunks_index")
    columns = [column.name for column in w.tables.get(about.delta_sync_index_spec.source_table).columns]
    path = next(name for name in columns if "path" in name)
    index = search.get_index(index_name="main.docs.chunks_index")
    assert index.describe()["primary_key"] == about.primary_key

    def paths(**more):
        found = index.similarity_search(columns=[about.primary_key, path], query_type="FULL_TEXT", num_results=10, **more)
        return [row[1] for row in found["result"]["data_array"]]

    assert "guide.md" in paths(query_text="default port")
    assert set(paths(query_text="the", filters={path: "support.md"})) <= {"support.md"}
    assert paths(query_text="default port", filters={path: "support.md"}) == []
    assert set(paths(query_text="default port", filters=f"{path} = 'guide.md'")) == {"guide.md"}
    assert paths(query_text="default port", filters={path: "x' OR 1=1 --"}) == []
    with_endpoint = search.get_index(endpoint_name=about.endpoint_name, index_name="main.docs.chunks_index")
    assert with_endpoint.similarity_search(columns=[path], query_text="refunds", query_type="FULL_TEXT")["result"]["row_count"] >= 1
    assert "main.docs.chunks_index" in str(search.list_indexes(about.endpoint_name))
    with pytest.raises(Exception, match="filter"):
        paths(query_text="x", filters={"no_such_column": 1})
