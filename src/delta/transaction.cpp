#include "delta/transaction.h"

#include <algorithm>
#include <set>

#include "base/format.h"

namespace lakeloop::delta {

std::optional<std::string> find_conflict(const Transaction& ours, const Actions& winner) {
  if (winner.protocol) return "it changed the protocol of the table";
  if (winner.metadata) return "it changed the schema or the properties of the table";
  std::set<std::string_view> removed;
  for (const auto& remove : ours.removes) removed.insert(remove.path);
  for (const auto& remove : winner.removes) {
    if (removed.contains(remove.path)) return lakeloop::format("both remove the file '{}'", remove.path);
    if (ours.reads_table && remove.data_change)
      return lakeloop::format("it removed the file '{}', which this change read", remove.path);
  }
  if (ours.reads_table) {
    const bool blind = winner.info["isBlindAppend"].bool_or(false);
    const bool added = std::ranges::any_of(winner.adds, &Add::data_change);
    if (added && (ours.serializable || !blind)) return "it added rows that this change has not seen";
  }
  return std::nullopt;
}

std::string commit_text(const Transaction& transaction, std::string_view txn_id, Timestamp now) {
  auto info = Json::object({{"timestamp", now.millis()}});
  if (!transaction.options.user.empty()) info.set("userName", transaction.options.user);
  info.set("operation", transaction.operation);
  info.set("operationParameters",
           transaction.options.parameters.is_object() ? transaction.options.parameters : Json::object());
  if (transaction.read_version >= 0) info.set("readVersion", transaction.read_version);
  info.set("isolationLevel", transaction.serializable ? "Serializable" : "WriteSerializable");
  info.set("isBlindAppend", transaction.blind_append());
  info.set("operationMetrics", transaction.metrics);
  info.set("engineInfo", "Lakeloop/" LAKELOOP_VERSION);
  info.set("txnId", txn_id);
  auto text = Json::object({{"commitInfo", std::move(info)}}).dump() + "\n";
  const auto line = [&](const auto& action) { text += to_json(action).dump() + "\n"; };
  if (transaction.protocol) line(*transaction.protocol);
  if (transaction.metadata) line(*transaction.metadata);
  if (!transaction.options.app_id.empty())
    line(Txn{transaction.options.app_id, transaction.options.app_version, now.millis()});
  for (const auto& remove : transaction.removes) line(remove);
  for (const auto& add : transaction.adds) line(add);
  for (const auto& change : transaction.changes) line(change);
  return text;
}

Remove remove_of(const AddFile& file, bool data_change, Timestamp now) {
  Remove remove;
  remove.path = file.path;
  remove.data_change = data_change;
  remove.deletion_timestamp = now.millis();
  remove.extended = true;
  remove.partition_values = file.partition_values;
  remove.size = file.size;
  remove.deletion_vector = file.deletion_vector;
  return remove;
}

}  // namespace lakeloop::delta
