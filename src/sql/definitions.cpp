// CREATE TABLE and DROP TABLE.

#include "base/text.h"
#include "sql/execution.h"

namespace lakeloop::sql {
namespace {

// "decimal ( 10 , 2 )" as it would be written without blanks.
std::string type_text(const Tokens& tokens) {
  std::string text;
  for (const Token& token : tokens) {
    if (token.kind == TokenKind::kQuoted) {
      text += '`' + replace_all(token.text, "`", "``") + '`';
    } else {
      text += token.text;
    }
  }
  return text;
}

// Commas and ends inside <...> belong to the type: array<struct<a:int,b:string>>.
Tokens read_type(Reader& reader) {
  Tokens tokens;
  int angles = 0;
  while (!reader.at_end()) {
    const Token& token = reader.peek();
    if (angles == 0 && (token.is(',') || token.is(')') || token.is("NOT") || token.is("NULL") || token.is("COMMENT") ||
                        token.is("DEFAULT") || token.is("GENERATED") || token.is("PRIMARY"))) {
      break;
    }
    if (token.is('<')) ++angles;
    if (token.is('>')) --angles;
    if (token.is('(')) {
      tokens.push_back(reader.next());
      const Tokens inside = reader.until(")");
      tokens.insert(tokens.end(), inside.begin(), inside.end());
      if (reader.peek().is(')')) tokens.push_back(reader.next());
      continue;
    }
    tokens.push_back(reader.next());
  }
  return tokens;
}

delta::Field read_column(Reader& reader) {
  delta::Field field;
  field.name = reader.identifier("a column name");
  field.type = delta::type_from_text(type_text(read_type(reader)));
  while (true) {
    if (reader.take("NOT")) {
      reader.expect("NULL");
      field.nullable = false;
    } else if (reader.take("COMMENT")) {
      field.metadata.set("comment", string_content(reader.next()));
    } else if (!reader.take("NULL")) {
      break;
    }
  }
  for (const std::string_view word : {"DEFAULT", "GENERATED", "PRIMARY"}) {
    if (reader.peek().is(word))
      throw Error(ErrorCode::kUnimplemented, "column '{}': {} is not supported", field.name, word);
  }
  return field;
}

std::vector<std::string> read_names(Reader& reader) {
  std::vector<std::string> names;
  reader.expect('(');
  do names.push_back(reader.identifier("a column name"));
  while (reader.take(','));
  reader.expect(')');
  return names;
}

std::map<std::string, std::string> read_properties(Reader& reader) {
  std::map<std::string, std::string> properties;
  reader.expect('(');
  do {
    std::string key;
    if (reader.peek().kind == TokenKind::kString) {
      key = string_content(reader.next());
    } else {
      key = reader.identifier("a property");
      while (reader.take('.')) key += '.' + reader.identifier("the rest of the property's name");
    }
    reader.expect('=');
    const Token& value = reader.next();
    properties[key] = value.kind == TokenKind::kString ? string_content(value) : value.text;
  } while (reader.take(','));
  reader.expect(')');
  return properties;
}

bool exists(TableResolver& resolver, const std::vector<std::string>& name) {
  try {
    resolver.resolve(name, Access::kRead);
    return true;
  } catch (const Error& error) {
    // Without the right to read it there is still a table.
    if (error.code() == ErrorCode::kNotFound) return false;
    if (error.code() == ErrorCode::kPermissionDenied) return true;
    throw;
  }
}

StatementResult nothing() {
  return {};
}

}  // namespace

StatementResult run_create(Execution& run, Reader& reader) {
  if (!reader.peek().is("TABLE")) {
    throw Error(ErrorCode::kUnimplemented,
                "CREATE is for tables here: catalogs and schemas are made through the catalog's API");
  }
  reader.expect("TABLE");
  bool if_not_exists = false;
  if (reader.take("IF")) {
    reader.expect("NOT");
    reader.expect("EXISTS");
    if_not_exists = true;
  }
  const auto name = reader.name();
  delta::CreateOptions options;
  options.name = name.back();
  if (reader.take('(')) {
    do options.schema.push_back(read_column(reader));
    while (reader.take(','));
    reader.expect(')');
  }
  while (!reader.at_end() && !reader.peek().is("AS")) {
    if (reader.take("USING")) {
      const std::string provider = reader.identifier("a table format");
      if (!iequals(provider, "delta"))
        throw Error(ErrorCode::kUnimplemented, "tables are Delta tables: USING {} is not supported", provider);
    } else if (reader.take("PARTITIONED")) {
      reader.expect("BY");
      options.partition_columns = read_names(reader);
    } else if (reader.take("COMMENT")) {
      options.description = string_content(reader.next());
    } else if (reader.take("TBLPROPERTIES")) {
      options.properties = read_properties(reader);
    } else {
      reader.expect_end();
    }
  }
  const bool as_query = reader.take("AS");
  if (as_query == !options.schema.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "CREATE TABLE needs either columns or AS and a query");
  }
  if (if_not_exists && exists(run.resolver, name)) return as_query ? affected_rows(0) : nothing();
  if (!as_query) {
    run.resolver.create(name, options);
    return nothing();
  }
  const Query query = plan_query(reader.rest(), run.parameters, run.resolver);
  options.schema = Sandbox(query.views, run.options.memory_limit, run.deadline).describe(query.text);
  run.resolver.create(name, options);
  try {
    delta::Table table = run.resolver.resolve(name, Access::kModify);
    return affected_rows(insert_rows(run, table, {}, query));
  } catch (...) {
    run.resolver.drop(name);  // all or nothing
    throw;
  }
}

StatementResult run_drop(Execution& run, Reader& reader) {
  if (!reader.peek().is("TABLE")) {
    throw Error(ErrorCode::kUnimplemented,
                "DROP is for tables here: catalogs and schemas are deleted through the catalog's API");
  }
  reader.expect("TABLE");
  bool if_exists = false;
  if (reader.take("IF")) {
    reader.expect("EXISTS");
    if_exists = true;
  }
  const auto name = reader.name();
  reader.expect_end();
  try {
    run.resolver.drop(name);
  } catch (const Error& error) {
    if (!if_exists || error.code() != ErrorCode::kNotFound) throw;
  }
  return nothing();
}

}  // namespace lakeloop::sql
