#include "api/unity/columns.h"
#include "api/unity/routes.h"
#include "api/unity/wire.h"
#include "base/text.h"

namespace lakeloop::api::unity {
namespace {

using catalog::SecurableType;
using catalog::TableInfo;
using net::Method;

Json table_json(const TableInfo& info, const std::string& metastore_id, bool with_columns) {
  // A vector index is a table to every client of this API, which has no other word for it.
  const bool index = info.table_type == "VECTOR_INDEX";
  Json properties = properties_json(info.properties);
  if (index && !info.source_table.empty()) properties.set("source_table", info.source_table);
  Json json = Json::object({{"name", info.name},
                            {"catalog_name", info.catalog_name},
                            {"schema_name", info.schema_name},
                            {"full_name", catalog::join_full_name({info.catalog_name, info.schema_name, info.name})},
                            {"table_id", info.id},
                            {"table_type", index ? "MANAGED" : info.table_type},
                            {"data_source_format", index ? "VECTOR_INDEX_FORMAT" : info.data_source_format},
                            {"owner", info.owner},
                            {"metastore_id", metastore_id},
                            {"properties", std::move(properties)}});
  if (!info.storage_location.empty()) json.set("storage_location", info.storage_location);
  if (with_columns) json.set("columns", columns_json(info.columns));
  set_audit(json, info);
  return json;
}

std::string full_name_of(const Call& call) {
  return catalog::join_full_name({call.str("catalog_name"), call.str("schema_name"), call.str("name")});
}

void check_kind(const Call& call) {
  const std::string type = call.fields["table_type"].string_or("MANAGED");
  if (!iequals(type, "MANAGED")) {
    throw Error(ErrorCode::kUnimplemented, "table_type {} is not supported: only MANAGED tables can be created", type)
        .with_param("table_type");
  }
  const std::string format = call.fields["data_source_format"].string_or("DELTA");
  if (!iequals(format, "DELTA")) {
    throw Error(ErrorCode::kUnimplemented, "data_source_format {} is not supported: only DELTA", format)
        .with_param("data_source_format");
  }
  if (!call.str("storage_location").empty()) {
    throw Error(ErrorCode::kInvalidArgument, "storage_location of a MANAGED table is the server's choice: leave it out")
        .with_param("storage_location");
  }
}

bool exists(catalog::Catalog& catalog, const Call& call) {
  try {
    catalog.get_table(call.who, call.str("full_name"));
    return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    return false;
  }
}

}  // namespace

Routes table_routes(catalog::Catalog& catalog) {
  Routes routes;
  const std::string metastore = catalog.metastore_id();
  const Field catalog_name{"catalog_name", FieldType::kString, true, "Catalog"};
  const Field schema_name{"schema_name", FieldType::kString, true, "Schema within the catalog"};
  add(routes, Method::kPost, "/tables", "createTable", "Create a managed Delta table",
      {catalog_name,
       schema_name,
       {"name", FieldType::kString, true, "Name within the schema"},
       {"table_type", FieldType::kString, false, "MANAGED"},
       {"data_source_format", FieldType::kString, false, "DELTA"},
       {"columns", FieldType::kArray, true,
        "[{name, type_json | type_text | type_name, nullable, comment, partition_index}]"},
       {"storage_location", FieldType::kString, false, "Empty for a managed table"},
       {"comment", FieldType::kString, false, "Text"},
       {"properties", FieldType::kObject, false, "Table properties"}},
      [&catalog, metastore](Call& call) {
        check_kind(call);
        delta::CreateOptions options;
        options.schema = columns_of(call.fields["columns"], options.partition_columns);
        options.properties = properties_of(call);
        return table_json(catalog.create_table(call.who, full_name_of(call), options, call.str("comment")), metastore,
                          true);
      });
  add(routes, Method::kGet, "/tables", "listTables", "Tables of a schema that the caller may see",
      paged({catalog_name, schema_name}), [&catalog, metastore](Call& call) {
        return listing_json(
            "tables", catalog.list_tables(call.who, call.str("catalog_name"), call.str("schema_name"), page_of(call)),
            [&](const TableInfo& info) { return table_json(info, metastore, false); });
      });
  add(routes, Method::kGet, "/tables/{full_name}", "getTable", "Read a table with its columns", {},
      [&catalog, metastore](Call& call) {
        return table_json(catalog.get_table(call.who, call.str("full_name")), metastore, true);
      });
  add(routes, Method::kGet, "/tables/{full_name}/exists", "tableExists", "Is there such a table?", {},
      [&catalog](Call& call) { return Json::object({{"table_exists", exists(catalog, call)}}); });
  add(routes, Method::kPatch, "/tables/{full_name}", "updateTable", "Change comment, owner or properties",
      update_fields(), [&catalog, metastore](Call& call) {
        catalog.update(call.who, {SecurableType::kTable, call.str("full_name")}, update_of(call));
        return table_json(catalog.get_table(call.who, call.str("full_name")), metastore, true);
      });
  add(routes, Method::kDelete, "/tables/{full_name}", "deleteTable", "Forget a table; its data stays", {},
      [&catalog](Call& call) {
        catalog.delete_table(call.who, call.str("full_name"));
        return Json::object();
      });
  return routes;
}

}  // namespace lakeloop::api::unity
