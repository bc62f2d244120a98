#include "tracking/regex.h"

#include <unicode/regex.h>
#include <unicode/unistr.h>

#include "base/error.h"
#include "base/limits.h"

namespace lakeloop::tracking {

namespace {

constexpr int kTimeLimit = 2000;  // ICU's unit, some milliseconds for one match
constexpr int kStackBytes = 1024 * 1024;

icu::UnicodeString unicode(std::string_view text) {
  return icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
}

}  // namespace

struct Regex::Impl {
  std::unique_ptr<icu::RegexPattern> pattern;
};

Regex::Regex(std::string_view pattern) : impl_(std::make_unique<Impl>()) {
  if (pattern.size() > limits::kRegexBytes) {
    throw Error(ErrorCode::kInvalidArgument, "an RLIKE pattern is limited to {} bytes", limits::kRegexBytes);
  }
  UErrorCode status = U_ZERO_ERROR;
  UParseError where;
  impl_->pattern.reset(icu::RegexPattern::compile(unicode(pattern), where, status));
  if (U_FAILURE(status)) {
    throw Error(ErrorCode::kInvalidArgument, "'{}' is not a regular expression: {} at position {}", pattern,
                u_errorName(status), where.offset);
  }
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;

bool Regex::found_in(std::string_view text) const {
  UErrorCode status = U_ZERO_ERROR;
  const icu::UnicodeString input = unicode(text);
  const std::unique_ptr<icu::RegexMatcher> matcher(impl_->pattern->matcher(input, status));
  if (U_FAILURE(status))
    throw Error(ErrorCode::kInternal, "a regular expression could not be started: {}", u_errorName(status));
  matcher->setTimeLimit(kTimeLimit, status);
  matcher->setStackLimit(kStackBytes, status);
  const bool found = matcher->find(status) != 0;
  if (U_FAILURE(status)) {
    throw Error(ErrorCode::kInvalidArgument, "the RLIKE pattern takes too long on the data ({}); make it simpler",
                u_errorName(status));
  }
  return found;
}

}  // namespace lakeloop::tracking
