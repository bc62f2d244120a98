#include "net/request_parser.h"

#include <gtest/gtest.h>

#include <random>

#include "base/format.h"
#include "net/testing/request_cases.h"

namespace lakeloop::net {
namespace {

using testing::request_cases;
using testing::RequestCase;

// What a run of the parser came to, as text, so that two runs can be compared.
std::string outcome(std::string_view bytes, const std::vector<std::size_t>& cuts, HeadLimits limits = {}) {
  RequestParser parser(limits);
  std::string result, body;
  std::size_t begin = 0;
  const auto feed = [&](std::string_view piece) {
    for (;;) {
      if (parser.state() == RequestParser::State::kFailed) return;
      if (parser.state() == RequestParser::State::kHead && piece.empty()) return;
      const std::size_t used = parser.feed(piece, body);
      EXPECT_LE(used, piece.size());
      piece.remove_prefix(used);
      switch (parser.state()) {
        case RequestParser::State::kHeadComplete: {
          const Request head = parser.take_head();
          result += lakeloop::format("{} {} path={}", to_string(head.method), head.target, head.path);
          for (const auto& [name, value] : head.query) result += lakeloop::format(" {}={}", name, value);
          for (const auto& [name, value] : head.headers.all()) result += lakeloop::format(" [{}:{}]", name, value);
          result += parser.framing().keep_alive ? " keep" : " close";
          break;
        }
        case RequestParser::State::kComplete:
          result += lakeloop::format(" body={};", body);
          body.clear();
          parser.next_message();
          break;
        case RequestParser::State::kFailed:
          result += lakeloop::format(" failed {}", parser.failure().status);
          return;
        default:
          if (piece.empty()) return;
      }
    }
  };
  for (const std::size_t cut : cuts) {
    feed(bytes.substr(begin, cut - begin));
    begin = cut;
  }
  feed(bytes.substr(begin));
  if (parser.state() == RequestParser::State::kBody) result += lakeloop::format(" unfinished={}", body);
  return result;
}

std::string whole(std::string_view bytes, HeadLimits limits = {}) {
  return outcome(bytes, {}, limits);
}

std::string byte_by_byte(std::string_view bytes, HeadLimits limits = {}) {
  std::vector<std::size_t> cuts;
  for (std::size_t i = 1; i < bytes.size(); ++i) cuts.push_back(i);
  return outcome(bytes, cuts, limits);
}

TEST(RequestParser, TableOfRequests) {
  for (const RequestCase& c : request_cases()) EXPECT_EQ(whole(c.bytes), c.expected) << c.name;
}

TEST(RequestParser, OutcomeDoesNotDependOnTheCuts) {
  std::mt19937 random(3);
  for (const RequestCase& c : request_cases()) {
    EXPECT_EQ(byte_by_byte(c.bytes), c.expected) << c.name;
    for (int round = 0; round < 20; ++round) {
      std::vector<std::size_t> cuts;
      for (std::size_t at = 0; (at += std::uniform_int_distribution<std::size_t>(1, 9)(random)) < c.bytes.size();)
        cuts.push_back(at);
      ASSERT_EQ(outcome(c.bytes, cuts), c.expected) << c.name;
    }
  }
}

TEST(RequestParser, LimitsOfTheHead) {
  const HeadLimits limits{.bytes = 200, .count = 4, .target = 20};
  const auto both = [&](const std::string& bytes) {
    EXPECT_EQ(whole(bytes, limits), byte_by_byte(bytes, limits));
    return whole(bytes, limits);
  };
  const std::string start = "GET / HTTP/1.1\r\nHost: h\r\n";
  const auto padded = [&](std::size_t total) {
    return start + "X: " + std::string(total - start.size() - 7, 'a') + "\r\n\r\n";
  };
  EXPECT_TRUE(both(padded(199)).ends_with("body=;"));
  EXPECT_TRUE(both(padded(200)).ends_with("body=;"));
  EXPECT_EQ(both(padded(201)), " failed 431");
  EXPECT_EQ(both(std::string(300, '\n')), " failed 431");
  EXPECT_TRUE(both(start + "A: 1\r\nB: 1\r\nC: 1\r\n\r\n").ends_with("body=;"));
  EXPECT_EQ(both(start + "A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\n\r\n"), " failed 431");
  EXPECT_TRUE(both("GET /" + std::string(19, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n").ends_with("body=;"));
  EXPECT_EQ(both("GET /" + std::string(20, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n"), " failed 414");
  // The limit is per request, not per connection.
  EXPECT_TRUE(both(padded(200) + padded(200)).ends_with("body=;"));
}

TEST(RequestParser, LimitsOutsideTheHead) {
  const HeadLimits limits{.bytes = 200, .count = 4, .target = 20};
  const std::string chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const auto fails = [&](const std::string& body, int status) {
    const std::string end = lakeloop::format(" failed {}", status);
    EXPECT_TRUE(whole(chunked + body, limits).ends_with(end)) << whole(chunked + body, limits);
    EXPECT_TRUE(byte_by_byte(chunked + body, limits).ends_with(end));
  };
  fails("1;" + std::string(300, 'x') + "\r\na\r\n0\r\n\r\n", 400);
  fails("0\r\n" + std::string(300, 'x'), 431);
  fails("0\r\nX: " + std::string(300, 'x'), 431);
  fails("0\r\nA: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\nE: 1\r\n\r\n", 431);
}

// Random edits of good requests: never a crash, the same outcome however they are cut.
TEST(RequestParser, DamagedRequests) {
  std::mt19937 random(11);
  const auto pick = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
  const std::vector<RequestCase> seeds = request_cases();
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = seeds[pick(seeds.size())].bytes;
    for (std::size_t edits = 1 + pick(3); edits > 0 && !bytes.empty(); --edits) {
      const std::size_t at = pick(bytes.size());
      switch (pick(3)) {
        case 0:
          bytes[at] = static_cast<char>(pick(256));
          break;
        case 1:
          bytes.erase(at, 1 + pick(4));
          break;
        default:
          bytes.insert(at, std::string(1, "\r\n \t:;0\x7f\0x"[pick(10)]));
          break;
      }
    }
    ASSERT_EQ(whole(bytes), byte_by_byte(bytes)) << round;
  }
}

}  // namespace
}  // namespace lakeloop::net
