#include "llm/options.h"

#include "base/error.h"
#include "base/text.h"

namespace lakeloop::llm {

namespace {

int number(std::string_view name, std::string_view text, int lowest, int highest) {
  const auto value = parse_number<int>(text);
  if (!value || *value < lowest || *value > highest) {
    throw Error(ErrorCode::kInvalidArgument, "{} is \"{}\": give a whole number from {} to {}", name, text, lowest,
                highest);
  }
  return *value;
}

}  // namespace

Options parse_options(const std::vector<std::string_view>& arguments) {
  Options options;
  bool serve = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view name = arguments[i];
    if (name == "serve") {
      serve = true;
      continue;
    }
    if (name == "--embeddings") {
      options.embeddings = true;
      continue;
    }
    if (i + 1 == arguments.size())
      throw Error(ErrorCode::kInvalidArgument, "unknown argument or missing value: {}", name);
    const std::string_view value = arguments[++i];
    if (name == "--check") {
      options.check = true;
      options.model = std::filesystem::absolute(value);
    } else if (name == "--model") {
      options.model = std::filesystem::absolute(value);
    } else if (name == "--context") {
      options.context = number(name, value, 16, 1 << 20);
    } else if (name == "--parallel") {
      options.parallel = number(name, value, 1, 64);
    } else if (name == "--threads") {
      options.threads = number(name, value, 1, 256);
    } else if (name == "--embedding-tokens") {
      options.embedding_tokens = number(name, value, 8, 8192);
    } else {
      throw Error(ErrorCode::kInvalidArgument, "unknown argument: {}", name);
    }
  }
  if (options.check == serve) {
    throw Error(ErrorCode::kInvalidArgument, "use lakeloop-llm --check FILE or lakeloop-llm serve --model FILE");
  }
  if (options.model.empty()) throw Error(ErrorCode::kInvalidArgument, "--model is missing");
  return options;
}

}  // namespace lakeloop::llm
