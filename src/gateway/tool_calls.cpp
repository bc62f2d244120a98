#include "gateway/tool_calls.h"

#include "base/error.h"
#include "base/id.h"
#include "base/limits.h"

namespace lakeloop::gateway {

std::size_t ToolCallAssembler::call_of(const Json& item) {
  const std::string id = item.str("id");
  std::optional<std::int64_t> index;
  if (item["index"].is_int()) index = item["index"].as_int();
  // The id is the identity; the index only says which call a piece without an id belongs to: the latest that used it.
  for (std::size_t i = calls_.size(); i-- > 0;) {
    Call& call = calls_[i];
    if (!id.empty() && call.id == id) return i;
    if (index.has_value() ? call.upstream_index == index : i + 1 == calls_.size()) {
      if (id.empty() && (index.has_value() || item["function"].str("name").empty())) return i;
      if (!id.empty() && call.id_is_ours && call.arguments.empty()) {  // the id comes after the name
        return i;
      }
      if (!id.empty()) break;
    }
  }
  if (!id.empty()) {
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      if (calls_[i].id == id) return i;
    }
  }
  if (calls_.size() == limits::kToolCalls)
    throw Error(ErrorCode::kUpstream, "the provider sent more than {} tool calls", limits::kToolCalls);
  Call call;
  call.id_is_ours = id.empty();
  call.id = id.empty() ? "call_" + random_hex(12) : id;
  call.upstream_index = index;
  calls_.push_back(std::move(call));
  return calls_.size() - 1;
}

Json ToolCallAssembler::feed(const Json& delta) {
  Json out;
  if (!delta.is_array()) return out;
  for (const Json& item : delta.items()) {
    if (!item.is_object()) continue;
    const std::size_t before = calls_.size();
    const std::size_t position = call_of(item);
    Call& call = calls_[position];
    const bool begins = calls_.size() > before;
    const Json& function = item["function"];
    const std::string name = function.str("name");
    const Json& given = function["arguments"];
    const std::string arguments = given.is_object() || given.is_array() ? given.dump() : given.string_or("");
    Json piece = Json::object({{"index", position}});
    if (begins) piece.set("id", call.id).set("type", "function");
    Json part = Json::object();
    if (call.name.empty() && !name.empty()) {
      call.name = name;
      part.set("name", name);
    }
    if (call.arguments.size() + arguments.size() > limits::kToolArgumentBytes) {
      throw Error(ErrorCode::kUpstream, "the provider sent tool call arguments of more than {} bytes",
                  limits::kToolArgumentBytes);
    }
    call.arguments += arguments;
    if (begins || !arguments.empty()) part.set("arguments", arguments);
    if (part.size() == 0) continue;
    piece.set("function", std::move(part));
    out.push_back(std::move(piece));
  }
  return out;
}

Json ToolCallAssembler::finish() {
  Json out;
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    if (!calls_[i].arguments.empty()) continue;
    calls_[i].arguments = "{}";
    out.push_back(Json::object({{"index", i}, {"function", Json::object({{"arguments", "{}"}})}}));
  }
  return out;
}

Json ToolCallAssembler::calls() const {
  Json out;
  for (const Call& call : calls_) {
    out.push_back(Json::object({{"id", call.id},
                                {"type", "function"},
                                {"function", Json::object({{"name", call.name}, {"arguments", call.arguments}})}}));
  }
  return out;
}

}  // namespace lakeloop::gateway
