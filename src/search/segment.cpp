#include "search/segment.h"

#include <charconv>
#include <map>

#include "base/check.h"
#include "base/error.h"
#include "base/text.h"
#include "codec/encoding.h"
#include "codec/hash.h"
#include "search/analyzer.h"

namespace lakeloop::search {

namespace {

enum SectionId : std::uint32_t {
  kMeta = 1,
  kLengths = 2,
  kHashes = 3,
  kKeyIndex = 4,
  kContentIndex = 5,
  kEmbeddable = 6,
  kPostings = 16,  // and the three after
  kColumns = 64    // four ids a column
};

struct HashSlot {
  std::uint64_t hash, row;
  auto operator<=>(const HashSlot&) const = default;
};

// FNV-1a with a final mix (splitmix64). It only has to spread; equal hashes are compared by key.
std::uint64_t key_hash(std::string_view key) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : key) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
  return hash ^ (hash >> 31);
}

std::size_t required_column(const delta::Schema& schema, std::string_view name) {
  const auto found = delta::find_column(schema, name);
  if (!found) throw Error(ErrorCode::kInvalidArgument, "the source table has no column {}", name);
  return *found;
}

}  // namespace

std::optional<std::string> key_bytes(const Json& cell) {
  if (cell.is_string()) return cell.as_string();
  if (cell.is_int()) return std::to_string(cell.as_int());
  return std::nullopt;
}

std::string embedded_text(const Json& context, const Json& text) {
  if (!text.is_string() || trim(text.as_string()).empty()) return {};
  if (!context.is_string() || context.as_string().empty()) return text.as_string();
  return context.as_string() + "\n" + text.as_string();
}

ContentHash content_hash(std::string_view text) {
  const std::string hex = codec::sha256_hex(text);
  ContentHash hash{};
  for (std::size_t i = 0; i < 2; ++i) {
    std::from_chars(hex.data() + 16 * i, hex.data() + 16 * (i + 1), hash[i], 16);
  }
  return hash;
}

SegmentBuilder::SegmentBuilder(delta::Schema schema, Layout layout)
    : schema_(std::move(schema)), layout_(std::move(layout)) {
  for (const delta::Field& field : schema_) columns_.emplace_back(field.type);
  key_ = required_column(schema_, layout_.primary_key);
  for (const std::string& name : layout_.text_columns) text_.push_back(required_column(schema_, name));
  for (std::size_t i = 0; layout_.text_columns.empty() && i < schema_.size(); ++i) {
    if (i != key_ && schema_[i].type.kind == delta::TypeKind::kString) text_.push_back(i);
  }
  if (!layout_.embedding_column.empty()) embedding_ = required_column(schema_, layout_.embedding_column);
  if (!layout_.context_column.empty()) context_ = required_column(schema_, layout_.context_column);
}

void SegmentBuilder::add_hash(const ContentHash& hash, bool embeddable) {
  if (embeddable) embeddable_.push_back(rows());
  hashes_.push_back(hash);
}

void SegmentBuilder::add(const delta::Row& row) {
  LAKELOOP_CHECK(row.size() == schema_.size());
  const auto key = key_bytes(row[key_]);
  LAKELOOP_CHECK(key.has_value());
  const std::uint32_t number = rows();

  std::map<std::string, std::uint32_t, std::less<>> counts;
  std::uint32_t length = 0;
  for (const std::size_t column : text_) {
    if (!row[column].is_string()) continue;
    thread_analyzer().analyze(row[column].as_string(), [&](std::string_view term) {
      ++length;
      const auto found = counts.find(term);
      if (found != counts.end()) {
        ++found->second;
      } else {
        counts.emplace(term, 1);
      }
    });
  }
  for (const auto& [term, count] : counts) postings_.add(term, number, count);

  const std::string text =
      embedding_ ? embedded_text(context_ ? row[*context_] : Json(), row[*embedding_]) : std::string();
  add_hash(text.empty() ? ContentHash{} : content_hash(text), !text.empty());
  keys_.push_back(*key);
  for (std::size_t i = 0; i < columns_.size(); ++i) columns_[i].add(row[i]);
  lengths_.push_back(length);
}

void SegmentBuilder::add(const Segment& from, const RowSet& chosen) {
  constexpr std::uint32_t kGone = UINT32_MAX;
  std::vector<std::uint32_t> renumbered(from.rows(), kGone);
  std::uint32_t next = rows();
  chosen.for_each([&](std::uint32_t row) { renumbered[row] = next++; });

  std::vector<Posting> list;
  for (std::size_t i = 0; i < from.postings().terms(); ++i) {
    from.postings().read(i, list);
    const std::string_view term = from.postings().term(i);
    for (const Posting& posting : list) {
      if (renumbered[posting.row] != kGone) postings_.add(term, renumbered[posting.row], posting.count);
    }
  }
  std::vector<const Column*> sources;
  for (const delta::Field& field : schema_) sources.push_back(from.column(field.name));
  chosen.for_each([&](std::uint32_t row) {
    add_hash(from.hash(row), from.embeddable().contains(row));
    keys_.push_back(from.key(row));
    for (std::size_t i = 0; i < columns_.size(); ++i)
      columns_[i].add(sources[i] == nullptr ? Json() : sources[i]->value(row));
    lengths_.push_back(from.lengths()[row]);
  });
}

std::size_t SegmentBuilder::bytes() const {
  std::size_t total = postings_.bytes();
  for (const ColumnBuilder& column : columns_) total += column.bytes();
  return total;
}

void SegmentBuilder::write(const std::filesystem::path& path) {
  SectionWriter writer(FileKind::kSegment);
  writer.add(kMeta, Json::object({{"rows", rows()},
                                  {"schema", delta::schema_to_json(schema_)},
                                  {"primary_key", layout_.primary_key},
                                  {"embedding_column", layout_.embedding_column},
                                  {"context_column", layout_.context_column}})
                        .dump());
  writer.add_array<std::uint32_t>(kLengths, lengths_);
  writer.add_array<ContentHash>(kHashes, hashes_);
  std::vector<HashSlot> by_key, by_content;
  for (std::uint32_t row = 0; row < rows(); ++row) by_key.push_back({key_hash(keys_[row]), row});
  RowSet embeddable(rows());
  for (const std::uint32_t row : embeddable_) {
    by_content.push_back({hashes_[row][0], row});
    embeddable.add(row);
  }
  std::ranges::sort(by_key);
  std::ranges::sort(by_content);
  writer.add_array<HashSlot>(kKeyIndex, by_key);
  writer.add_array<HashSlot>(kContentIndex, by_content);
  writer.add(kEmbeddable, embeddable.serialize());
  postings_.write(writer, kPostings);
  for (std::size_t i = 0; i < columns_.size(); ++i)
    columns_[i].write(writer, kColumns + 4 * static_cast<std::uint32_t>(i));
  writer.write(path);
}

std::shared_ptr<const Segment> Segment::open(const std::filesystem::path& path) {
  static_assert(sizeof(Slot) == sizeof(HashSlot));
  std::shared_ptr<Segment> segment(new Segment);
  segment->file_ = SectionFile::open(path, FileKind::kSegment);
  const SectionFile& file = segment->file_;
  const auto meta = Json::try_parse(file.section(kMeta));
  if (!meta) file.damaged("its description is no JSON");
  const std::int64_t rows = (*meta)["rows"].int_or(-1);
  if (rows < 0 || rows >= UINT32_MAX) file.damaged("its number of rows is wrong");
  segment->rows_ = static_cast<std::uint32_t>(rows);
  segment->schema_ = delta::schema_from_json((*meta)["schema"]);
  segment->layout_ = {meta->str("primary_key"), {}, meta->str("embedding_column"), meta->str("context_column")};
  const auto key = delta::find_column(segment->schema_, segment->layout_.primary_key);
  if (!key) file.damaged("it lacks its key column");
  segment->key_ = *key;
  for (std::size_t i = 0; i < segment->schema_.size(); ++i) {
    segment->columns_.emplace_back(segment->schema_[i].type, file, kColumns + 4 * static_cast<std::uint32_t>(i),
                                   segment->rows_);
  }
  segment->postings_ = std::make_unique<Postings>(file, kPostings, segment->rows_);
  segment->lengths_ = file.array<std::uint32_t>(kLengths, segment->rows_);
  for (const std::uint32_t length : segment->lengths_) segment->total_length_ += length;
  segment->hashes_ = file.array<ContentHash>(kHashes, segment->rows_);
  segment->by_key_ = file.array<Slot>(kKeyIndex, segment->rows_);
  segment->embeddable_ = RowSet::parse(file.section(kEmbeddable), segment->rows_);
  segment->by_content_ = file.array<Slot>(kContentIndex, segment->embeddable_.count());
  for (const auto& index : {segment->by_key_, segment->by_content_}) {
    for (const Slot& slot : index) {
      if (slot.row >= segment->rows_) file.damaged("an index entry lies beyond the rows");
    }
  }
  return segment;
}

const Column* Segment::column(std::string_view name) const {
  const auto found = delta::find_column(schema_, name);
  return found ? &columns_[*found] : nullptr;
}

std::string Segment::key(std::uint32_t row) const {
  const Column& column = key_column();
  return column.kind() == ColumnKind::kInteger ? std::to_string(column.integer(row)) : std::string(column.text(row));
}

std::optional<std::uint32_t> Segment::find_key(std::string_view key_wanted) const {
  const std::uint64_t hash = key_hash(key_wanted);
  for (auto at = std::ranges::lower_bound(by_key_, hash, {}, &Slot::hash); at != by_key_.end() && at->hash == hash;
       ++at) {
    const auto row = static_cast<std::uint32_t>(at->row);
    if (key(row) == key_wanted) return row;
  }
  return std::nullopt;
}

std::string Segment::embedded_text_of(std::uint32_t row) const {
  const Column* text = column(layout_.embedding_column);
  const Column* context = layout_.context_column.empty() ? nullptr : column(layout_.context_column);
  if (text == nullptr) return {};
  return embedded_text(context == nullptr ? Json() : context->value(row), text->value(row));
}

}  // namespace lakeloop::search
