#pragma once

// Which commit a folder's work tree has checked out, from Git's own files: HEAD, loose and packed refs, worktrees and
// submodules
// (".git" as a file). Git is not run. What the tree holds may differ from the commit: whether files are clean is not
// looked at. The reftable format is not read.

#include <filesystem>
#include <string>

namespace lakeloop::ingest {

// 40 or 64 hex digits; empty outside of a work tree, before its first commit, and where the files are not understood.
std::string git_head(const std::filesystem::path& folder);

}  // namespace lakeloop::ingest
