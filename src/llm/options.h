#pragma once

// The command line of lakeloop-llm:
//   lakeloop-llm --check FILE
//   lakeloop-llm serve --model FILE [--context N] [--parallel N] [--threads N] [--embeddings] [--embedding-tokens N]

#include <filesystem>
#include <string_view>
#include <vector>

namespace lakeloop::llm {

struct Options {
  bool check = false;           // load, describe on standard output, leave
  std::filesystem::path model;  // absolute: the working folder changes later
  int context = 2048;           // tokens of one sequence, prompt and answer together
  int parallel = 4;             // sequences decoded together
  int threads = 1;
  bool embeddings = false;
  int embedding_tokens = 256;  // longer inputs are cut
};

// kInvalidArgument names the argument.
Options parse_options(const std::vector<std::string_view>& arguments);

}  // namespace lakeloop::llm
