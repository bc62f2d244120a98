#include "journal/segment.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/error.h"
#include "base/format.h"
#include "base/id.h"
#include "base/log.h"
#include "base/text.h"
#include "codec/encoding.h"
#include "codec/hash.h"
#include "journal/record_format.h"

namespace lakeloop::journal {
namespace {

constexpr std::string_view kMagic = "LAKEJRN1";
constexpr std::string_view kSuffix = ".log";
constexpr std::size_t kDigits = 20;
constexpr std::uint64_t kIndexBytes = 4096;
constexpr std::size_t kScanChunk = 1024 * 1024;

[[noreturn]] void fail(std::string_view what, const std::filesystem::path& path, int cause) {
  ErrorCode code =
      cause == ENOSPC || cause == EDQUOT || cause == EFBIG ? ErrorCode::kResourceExhausted : ErrorCode::kDataLoss;
  throw Error(code, "cannot {} the journal file {}: {}", what, path.string(), std::strerror(cause));
}

[[noreturn]] void damaged(const std::filesystem::path& path, std::uint64_t offset) {
  throw Error(ErrorCode::kDataLoss, "the journal file {} is damaged at byte {}: restore it from a backup",
              path.string(), offset);
}

void sync_file(int fd, const std::filesystem::path& path) {
  if (fdatasync(fd) != 0) fail("sync", path, errno);
}

}  // namespace

std::optional<std::uint64_t> Segment::first_of(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  if (name.size() != kDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  return parse_number<std::uint64_t>(std::string_view(name).substr(0, kDigits));
}

std::shared_ptr<Segment> Segment::create(const std::filesystem::path& folder, std::uint64_t first) {
  const std::filesystem::path path = folder / (format("{:020}", first) + std::string(kSuffix));
  std::shared_ptr<Segment> segment(new Segment(path, first));
  segment->file_ = open_file(path, O_RDWR | O_CREAT | O_EXCL, 0600);
  try {
    segment->write_header();
    sync_folder(folder);
  } catch (...) {
    unlink(path.c_str());  // the records may yet go into the file before: nothing of that number may stand beside it
    throw;
  }
  return segment;
}

std::shared_ptr<Segment> Segment::open(const std::filesystem::path& path, std::uint64_t first, bool is_last) {
  std::shared_ptr<Segment> segment(new Segment(path, first));
  segment->file_ = open_file(path, O_RDWR);
  segment->read_header(is_last);
  segment->scan(is_last);
  return segment;
}

void Segment::write_header() {
  std::string header = std::string(kMagic) + *codec::hex_decode(random_hex(4));
  seed_ = codec::crc32c(header);
  header.append(reinterpret_cast<const char*>(&seed_), sizeof seed_);
  if (ftruncate(file_.get(), 0) != 0) fail("empty", path_, errno);
  if (lseek(file_.get(), 0, SEEK_SET) != 0) fail("write", path_, errno);
  write_all(file_.get(), header, path_);
  sync_file(file_.get(), path_);
}

void Segment::read_header(bool is_last) {
  char header[kSegmentHeaderBytes];
  const ssize_t got = pread(file_.get(), header, sizeof header, 0);
  if (got < 0) fail("read", path_, errno);
  const std::string_view read(header, static_cast<std::size_t>(got));
  if (read.size() == kSegmentHeaderBytes && read.starts_with(kMagic)) {
    seed_ = codec::crc32c(read.substr(0, kSegmentHeaderBytes - 4));
    if (seed_ == load_u32(read.substr(kSegmentHeaderBytes - 4))) return;
  }
  // The machine stopped while the file was made: it holds no record yet.
  const bool blank = std::ranges::all_of(read, [](char c) { return c == '\0'; });
  if (is_last && (read.size() < kSegmentHeaderBytes || blank)) return write_header();
  damaged(path_, 0);
}

void Segment::scan(bool is_last) {
  struct stat about{};
  if (fstat(file_.get(), &about) != 0) fail("read", path_, errno);
  const auto end = static_cast<std::uint64_t>(about.st_size);
  SegmentReader reader(*this, kSegmentHeaderBytes, end, kScanChunk);
  for (;;) {
    const std::uint64_t offset = reader.offset();
    const SegmentReader::State state = reader.next();
    if (state == SegmentReader::State::kEnd) break;
    if (state == SegmentReader::State::kRecord) {
      index(offset, reader.micros());
      size_ = reader.offset();
      continue;
    }
    std::string rest(end - offset, '\0');
    std::size_t done = 0;
    while (done < rest.size()) {
      const ssize_t got = pread(file_.get(), rest.data() + done, rest.size() - done, static_cast<off_t>(offset + done));
      if (got <= 0 && errno != EINTR) fail("read", path_, errno);
      if (got > 0) done += static_cast<std::size_t>(got);
    }
    if (!is_last || judge_tail(rest, last_micros_, seed_) == Tail::kDamaged) damaged(path_, offset);
    if (ftruncate(file_.get(), static_cast<off_t>(offset)) != 0) fail("cut", path_, errno);
    sync_file(file_.get(), path_);
    log_warning("journal.tail_cut", {{"file", path_.string()}, {"offset", offset}, {"bytes", end - offset}});
    break;
  }
}

void Segment::index(std::uint64_t offset, std::uint64_t micros) {
  if (index_.empty() || offset - index_.back().offset >= kIndexBytes) index_.push_back({end(), offset});
  ++count_;
  last_micros_ = micros;
}

void Segment::encode(std::string_view bytes, std::uint64_t micros, std::string& batch) const {
  encode_record(bytes, micros, seed_, batch);
}

void Segment::write(std::string_view batch, bool& usable) {
  std::size_t done = 0;
  while (done < batch.size()) {
    const ssize_t wrote =
        pwrite(file_.get(), batch.data() + done, batch.size() - done, static_cast<off_t>(size_ + done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      const int cause = errno;
      // The part that went in must not be found by the next start, nor stand in the way of the next batch.
      usable = ftruncate(file_.get(), static_cast<off_t>(size_)) == 0;
      fail("write", path_, cause);
    }
    done += static_cast<std::size_t>(wrote);
  }
  if (fdatasync(file_.get()) != 0) {
    // After a failed sync the kernel may have dropped the pages and report success next time: nothing about this file
    // is known any more (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
    usable = false;
    fail("sync", path_, errno);
  }
}

void Segment::add(std::string_view batch) {
  while (!batch.empty()) {
    const std::uint64_t length = kRecordHeaderBytes + load_u32(batch);
    LAKELOOP_CHECK(length <= batch.size());
    index(size_, load_u64(batch.substr(8)));
    size_ += length;
    batch.remove_prefix(length);
  }
}

Segment::Start Segment::start_for(std::uint64_t position) const {
  const auto after = std::ranges::upper_bound(index_, position, {}, &Start::position);
  return after == index_.begin() ? Start{first_, kSegmentHeaderBytes} : *std::prev(after);
}

SegmentReader::State SegmentReader::next() {
  if (offset_ == end_) return State::kEnd;
  if (!fill(kRecordHeaderBytes)) return State::kBroken;
  const std::uint64_t length = kRecordHeaderBytes + load_u32(std::string_view(buffer_).substr(used_));
  if (!fill(length)) return State::kBroken;
  const std::optional<RecordView> record = decode_record(std::string_view(buffer_).substr(used_, length), seed_);
  if (!record) return State::kBroken;
  micros_ = record->micros;
  bytes_ = record->bytes;
  used_ += length;
  offset_ += length;
  return State::kRecord;
}

// Makes `size` bytes from the current offset on available; false when the segment ends before.
bool SegmentReader::fill(std::size_t size) {
  if (size > end_ - offset_) return false;
  if (buffer_.size() - used_ >= size) return true;
  buffer_.erase(0, used_);
  used_ = 0;
  std::size_t have = buffer_.size();
  buffer_.resize(std::min<std::uint64_t>(std::max(size, chunk_), end_ - offset_));
  while (have < buffer_.size()) {
    const ssize_t got = pread(fd_, buffer_.data() + have, buffer_.size() - have, static_cast<off_t>(offset_ + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("read", path_, errno);
    if (got == 0) break;  // shorter than it was
    have += static_cast<std::size_t>(got);
  }
  buffer_.resize(have);
  return have >= size;
}

}  // namespace lakeloop::journal
