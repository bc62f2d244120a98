#include "app/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "base/format.h"
#include "base/text.h"

namespace lakeloop::app {
namespace {

constexpr int kLayout = 1;

}  // namespace

DataFolder::DataFolder(const std::filesystem::path& root) : root_(std::filesystem::absolute(root).lexically_normal()) {
  std::error_code error;
  std::filesystem::create_directories(root_, error);
  if (error || !std::filesystem::is_directory(root_)) {
    throw Error(ErrorCode::kInvalidArgument, "the data folder {} cannot be made: {}", root_.string(),
                error ? error.message() : "something else has that name");
  }
  lock_ = open_file(root_ / "lock", O_RDWR | O_CREAT, 0600);
  if (flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    const std::string holder(trim(read_file(root_ / "lock", 64)));
    throw Error(ErrorCode::kConflict,
                "another lakeloop server{} uses the data folder {}: stop it, or choose another --data",
                holder.empty() ? "" : " (process " + holder + ")", root_.string());
  }
  const std::string pid = lakeloop::format("{}\n", getpid());
  if (ftruncate(lock_.get(), 0) == 0) write_all(lock_.get(), pid, root_ / "lock");

  const std::filesystem::path mark = root_ / "layout";
  if (std::filesystem::exists(mark)) {
    const auto layout = parse_number<int>(trim(read_file(mark, 64)));
    if (!layout || *layout > kLayout) {
      throw Error(ErrorCode::kConflict,
                  "the data folder {} has layout {}, this lakeloop knows layouts up to {}: use a newer lakeloop",
                  root_.string(), trim(read_file(mark, 64)), kLayout);
    }
  } else {
    write_file_atomic(mark, lakeloop::format("{}\n", kLayout));
  }
}

}  // namespace lakeloop::app
