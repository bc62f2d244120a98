#include "base/clock.h"

#include <cctype>

#include "base/format.h"

namespace lakeloop {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::microseconds;
using std::chrono::sys_days;
using std::chrono::sys_time;

sys_time<microseconds> to_chrono(Timestamp at) {
  return sys_time<microseconds>(microseconds(at.micros));
}

class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}
  std::optional<int> digits(std::size_t count) {
    if (text_.size() < count) return std::nullopt;
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (std::isdigit(static_cast<unsigned char>(text_[i])) == 0) return std::nullopt;
      value = value * 10 + (text_[i] - '0');
    }
    text_.remove_prefix(count);
    return value;
  }
  bool take(std::string_view any_of) {
    if (text_.empty() || any_of.find(text_.front()) == std::string_view::npos) return false;
    last_ = text_.front();
    text_.remove_prefix(1);
    return true;
  }
  [[nodiscard]] char last() const { return last_; }
  [[nodiscard]] bool done() const { return text_.empty(); }
  [[nodiscard]] bool at_digit() const {
    return !text_.empty() && std::isdigit(static_cast<unsigned char>(text_[0])) != 0;
  }

 private:
  std::string_view text_;
  char last_ = 0;
};

}  // namespace

Timestamp Timestamp::now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<microseconds>(now).count()};
}

std::string format_date(Timestamp at) {
  const std::chrono::year_month_day date(floor<days>(to_chrono(at)));
  return format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()));
}

std::string format_rfc3339(Timestamp at) {
  const auto time = to_chrono(at);
  const auto day = floor<days>(time);
  const std::chrono::hh_mm_ss clock(time - day);
  const auto micros = clock.subseconds().count();
  std::string text = format("{}T{:02}:{:02}:{:02}", format_date(at), clock.hours().count(), clock.minutes().count(),
                            clock.seconds().count());
  text += micros % 1000 == 0 ? format(".{:03}Z", micros / 1000) : format(".{:06}Z", micros);
  return text;
}

std::int32_t days_since_epoch(Timestamp at) {
  return static_cast<std::int32_t>(floor<days>(to_chrono(at)).time_since_epoch().count());
}

std::optional<Timestamp> parse_timestamp(std::string_view text) {
  Cursor in(text);
  const auto year = in.digits(4);
  if (!year || !in.take("-")) return std::nullopt;
  const auto month = in.digits(2);
  if (!month || !in.take("-")) return std::nullopt;
  const auto day = in.digits(2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok()) return std::nullopt;
  std::int64_t micros = microseconds(sys_days(date).time_since_epoch()).count();
  if (in.done()) return Timestamp{micros};
  if (!in.take("Tt ")) return std::nullopt;
  const auto hour = in.digits(2);
  if (!hour || *hour > 23 || !in.take(":")) return std::nullopt;
  const auto minute = in.digits(2);
  if (!minute || *minute > 59) return std::nullopt;
  int second = 0;
  if (in.take(":")) {
    const auto value = in.digits(2);
    if (!value || *value > 60) return std::nullopt;
    second = *value;
  }
  std::int64_t fraction = 0;
  if (in.take(".,")) {
    std::int64_t unit = 100'000;
    if (!in.at_digit()) return std::nullopt;
    while (in.at_digit()) {
      fraction += *in.digits(1) * unit;
      unit /= 10;
    }
  }
  micros += ((static_cast<std::int64_t>(*hour) * 60 + *minute) * 60 + second) * 1'000'000 + fraction;
  if (in.done()) return Timestamp{micros};  // no zone: UTC
  if (in.take("Zz")) return in.done() ? std::optional(Timestamp{micros}) : std::nullopt;
  if (!in.take("+-")) return std::nullopt;
  const int sign = in.last() == '-' ? -1 : 1;
  const auto zone_hour = in.digits(2);
  if (!zone_hour) return std::nullopt;
  in.take(":");
  const auto zone_minute = in.done() ? std::optional(0) : in.digits(2);
  if (!zone_minute || !in.done()) return std::nullopt;
  return Timestamp{micros - sign * (*zone_hour * 60LL + *zone_minute) * 60'000'000};
}

}  // namespace lakeloop
