#pragma once

// Every limit of the server in one table; docs/limits.md is checked against it by a test. Sizes in bytes, times as
// durations. A limit that a request meets is named in the error.

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace lakeloop::limits {

using namespace std::chrono_literals;

// --- HTTP
inline constexpr std::size_t kRequestHeaderBytes = 32 * 1024;      // request line and headers together
inline constexpr std::size_t kRequestHeaderCount = 100;
inline constexpr std::size_t kRequestTargetBytes = 8 * 1024;
inline constexpr std::size_t kRequestBodyBytes = 16 * 1024 * 1024; // a buffered body; uploads stream to storage instead
inline constexpr std::size_t kUploadBytes = 5ull * 1024 * 1024 * 1024;
inline constexpr std::size_t kJsonDepth = 64;
inline constexpr auto kHeaderTimeout = 15s;                        // first byte of a request to the end of its headers
inline constexpr auto kBodyStallTimeout = 30s;                     // between two pieces of a body
inline constexpr std::size_t kBodyBytesPerSecond = 1024;           // a slower sender is dropped (on average, after one stall timeout)
inline constexpr std::size_t kBodyBufferBytes = 64 * 1024;         // of a streamed body, then the sender waits
inline constexpr auto kLingerTimeout = 2s;                         // reading on after a refusal, so that the client sees it
inline constexpr auto kKeepAliveTimeout = 75s;
inline constexpr auto kWriteStallTimeout = 60s;                    // a reader that takes nothing is dropped
inline constexpr std::size_t kConnections = 4096;
inline constexpr std::size_t kWriteBufferBytes = 64 * 1024;        // per connection, then the producer waits

// --- outbound HTTP
inline constexpr std::size_t kClientTransfers = 1024;              // at once; further calls fail as unavailable
inline constexpr std::size_t kClientBufferBytes = 256 * 1024;      // per transfer, then the upstream waits
inline constexpr std::size_t kRedirects = 5;

// --- work
inline constexpr std::size_t kHandlerThreads = 16;
inline constexpr std::size_t kHandlerQueue = 512;                  // further requests get 503
inline constexpr auto kRequestDeadline = 120s;

// --- rows and pages
inline constexpr std::size_t kStatementRows = 100'000;
inline constexpr std::size_t kStatementBytes = 25 * 1024 * 1024;   // inline result of one SQL statement
inline constexpr std::size_t kSearchResults = 10'000;
inline constexpr std::size_t kPageSize = 1000;

// --- ingest and models
inline constexpr std::uintmax_t kSourceFileBytes = 64ull * 1024 * 1024;
inline constexpr std::size_t kEmbeddingTokens = 256;               // all-MiniLM-L6-v2 as trained
inline constexpr std::size_t kPayloadBytes = 1024 * 1024;          // a request or response kept in a payload table

// --- language models
inline constexpr std::size_t kModelMessages = 4096;                    // of one chat request
inline constexpr std::size_t kModelStops = 16;
inline constexpr std::size_t kModelStopBytes = 1024;
inline constexpr std::size_t kModelAdapters = 64;                      // held by one worker
inline constexpr std::size_t kModelRequests = 1024;                    // waiting or running in one worker
inline constexpr std::size_t kEmbeddingInputs = 8192;                  // of one frame to a worker
inline constexpr std::size_t kCountedBytes = 8 * 1024 * 1024;          // of one call that counts tokens
inline constexpr std::size_t kGrammarBytes = 1024 * 1024;
inline constexpr std::size_t kGrammarRules = 5000;
inline constexpr std::int64_t kGrammarRepetitions = 1000;              // libllama refuses 2000; a longer maxLength is cut to it
inline constexpr std::size_t kAnswerBytes = 16 * 1024 * 1024;          // text of one answer from a provider
inline constexpr std::size_t kToolCalls = 256;                         // of one answer
inline constexpr std::size_t kToolArgumentBytes = 4 * 1024 * 1024;     // of one call
inline constexpr auto kLongestRetryAfter = 60s;                        // longer ones are passed to the client

}  // namespace lakeloop::limits
