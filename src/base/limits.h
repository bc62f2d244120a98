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
inline constexpr std::size_t kRequestBodyBytes = 16 * 1024 * 1024; // a buffered body; uploads stream to storage instead
inline constexpr std::size_t kUploadBytes = 5ull * 1024 * 1024 * 1024;
inline constexpr std::size_t kJsonDepth = 64;
inline constexpr auto kHeaderTimeout = 15s;                        // first byte of a request to the end of its headers
inline constexpr auto kBodyStallTimeout = 30s;                     // between two pieces of a body
inline constexpr auto kKeepAliveTimeout = 75s;
inline constexpr auto kWriteStallTimeout = 60s;                    // a reader that takes nothing is dropped
inline constexpr std::size_t kConnections = 4096;
inline constexpr std::size_t kWriteBufferBytes = 64 * 1024;        // per connection, then the producer waits

// --- work
inline constexpr std::size_t kHandlerThreads = 16;
inline constexpr std::size_t kHandlerQueue = 512;                  // further requests get 503
inline constexpr auto kRequestDeadline = 120s;

// --- rows and pages
inline constexpr std::size_t kStatementRows = 100'000;
inline constexpr std::size_t kStatementBytes = 25 * 1024 * 1024;   // inline result of one SQL statement
inline constexpr std::size_t kSearchResults = 10'000;
inline constexpr std::size_t kPageSize = 1000;

// --- identity and catalog
inline constexpr std::size_t kTokenCacheEntries = 10'000;
inline constexpr auto kTokenCacheTime = 30s;                       // another process's revocation is seen by then
inline constexpr std::size_t kTokensPerPrincipal = 600;
inline constexpr std::size_t kNameCharacters = 255;                // of principals, catalogs, schemas, tables, models
inline constexpr std::size_t kCommentBytes = 64 * 1024;
inline constexpr std::size_t kGrantChanges = 1000;                 // in one request
inline constexpr std::size_t kTagKeyBytes = 250;
inline constexpr std::size_t kTagValueBytes = 100'000;
inline constexpr std::size_t kTagsPerObject = 1000;
inline constexpr std::size_t kAliasesPerModel = 1000;
inline constexpr std::size_t kOpenTables = 1000;                   // handles kept with their snapshot
inline constexpr std::size_t kLineageEdges = 1000;                 // in one request and in one answer

// --- SQL statements
inline constexpr std::size_t kStatementText = 1024 * 1024;
inline constexpr std::size_t kStatementTables = 100;               // named in one statement
inline constexpr std::size_t kStatementParameters = 1000;
inline constexpr std::size_t kInsertRows = 1'000'000;              // of one INSERT or CREATE TABLE AS
inline constexpr std::size_t kInsertBytes = 256 * 1024 * 1024;

// --- ingest and models
inline constexpr std::uintmax_t kSourceFileBytes = 64ull * 1024 * 1024;
inline constexpr std::size_t kEmbeddingTokens = 256;               // all-MiniLM-L6-v2 as trained
inline constexpr std::size_t kPayloadBytes = 1024 * 1024;          // a request or response kept in a payload table

// --- text formats
inline constexpr std::size_t kYamlBytes = 16 * 1024 * 1024;
inline constexpr std::size_t kYamlAliasBytes = 1024 * 1024;        // what aliases may add to a document
inline constexpr std::size_t kCaseFoldBytes = 512ull * 1024 * 1024;

// --- metadata store
inline constexpr std::size_t kDatabaseReaders = 8;                 // connections; more readers wait
inline constexpr auto kDatabaseWait = 30s;                         // for a connection, then 503
inline constexpr std::size_t kDatabaseRows = 1'000'000;            // of one query
inline constexpr std::size_t kDatabaseStatements = 256;            // prepared, per connection
inline constexpr std::size_t kDatabaseGroupWriters = 64;           // that share one commit

// --- journal (more in JournalOptions)
inline constexpr std::size_t kJournalBatchBytes = 32 * 1024 * 1024;  // waiting for a sync; then appends wait
inline constexpr std::size_t kJournalConsumers = 1000;

// --- child processes (more in ChildLimits)
inline constexpr std::size_t kSpawnQueue = 1024;
inline constexpr std::uintmax_t kChildLogBytes = 16ull * 1024 * 1024;
inline constexpr std::size_t kChildErrorBytes = 16 * 1024;         // the end of its standard error that is kept

// --- Delta tables
inline constexpr std::size_t kDeltaCommitBytes = 256 * 1024 * 1024;  // one commit file read from a log
inline constexpr int kDeltaCommitAttempts = 100;                     // lost races before a writer gives up
inline constexpr int kDeltaUpsertAttempts = 20;                      // conflicts after which a keyed change is done anew
inline constexpr std::int64_t kDeltaFileRows = 1'000'000;            // rows of one data file written
inline constexpr std::size_t kDeltaPartitions = 10'000;              // partitions written by one commit
inline constexpr std::uint64_t kDeltaDeletedRows = 50'000'000;       // rows of one deletion vector

}  // namespace lakeloop::limits
