#pragma once

// Every limit of the server in one table; docs/limits.md is checked against it by a test. Sizes in bytes, times as
// durations. A limit that a request meets is named in the error.

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace lakeloop::limits {

using namespace std::chrono_literals;

// --- HTTP
inline constexpr std::size_t kRequestHeaderBytes = 32 * 1024;  // request line and headers together
inline constexpr std::size_t kRequestHeaderCount = 100;
inline constexpr std::size_t kRequestTargetBytes = 8 * 1024;
inline constexpr std::size_t kRequestBodyBytes =
    16 * 1024 * 1024;  // a buffered body; uploads stream to storage instead
inline constexpr std::size_t kUploadBytes = 5ull * 1024 * 1024 * 1024;
inline constexpr std::size_t kJsonDepth = 64;
inline constexpr auto kHeaderTimeout = 15s;     // first byte of a request to the end of its headers
inline constexpr auto kBodyStallTimeout = 30s;  // between two pieces of a body
inline constexpr std::size_t kBodyBytesPerSecond =
    1024;  // a slower sender is dropped (on average, after one stall timeout)
inline constexpr std::size_t kBodyBufferBytes = 64 * 1024;  // of a streamed body, then the sender waits
inline constexpr auto kLingerTimeout = 2s;                  // reading on after a refusal, so that the client sees it
inline constexpr auto kKeepAliveTimeout = 75s;
inline constexpr auto kWriteStallTimeout = 60s;  // a reader that takes nothing is dropped
inline constexpr std::size_t kConnections = 4096;
inline constexpr std::size_t kWriteBufferBytes = 64 * 1024;  // per connection, then the producer waits

// --- outbound HTTP
inline constexpr std::size_t kClientTransfers = 1024;          // at once; further calls fail as unavailable
inline constexpr std::size_t kClientBufferBytes = 256 * 1024;  // per transfer, then the upstream waits
inline constexpr std::size_t kRedirects = 5;

// --- work
inline constexpr std::size_t kHandlerThreads = 16;
inline constexpr std::size_t kHandlerQueue = 512;  // further requests get 503
inline constexpr auto kRequestDeadline = 120s;

// --- rows and pages
inline constexpr std::size_t kStatementRows = 100'000;
inline constexpr std::size_t kStatementBytes = 25 * 1024 * 1024;  // inline result of one SQL statement
inline constexpr std::size_t kSearchResults = 10'000;
inline constexpr std::size_t kPageSize = 1000;

// --- vector search
inline constexpr std::size_t kHybridResults = 200;           // HYBRID and FULL_TEXT; ANN: kSearchResults
inline constexpr std::size_t kSearchTextBytes = 32'764;      // text of a query
inline constexpr std::size_t kSearchRowBytes = 1024 * 1024;  // text of one row; a longer row is refused by key
inline constexpr std::size_t kSearchEndpoints = 100;
inline constexpr std::size_t kIndexesPerEndpoint = 50;
inline constexpr auto kIndexPollInterval = 200ms;   // how often a CONTINUOUS index looks for a new version
inline constexpr std::size_t kEmbeddingBatch = 32;  // texts in one call of an embedding model
inline constexpr auto kEmbeddingTimeout = 60s;      // of one call during sync

// --- identity and catalog
inline constexpr std::size_t kTokenCacheEntries = 10'000;
inline constexpr auto kTokenCacheTime = 30s;  // another process's revocation is seen by then
inline constexpr std::size_t kTokensPerPrincipal = 600;
inline constexpr std::size_t kNameCharacters = 255;  // of principals, catalogs, schemas, tables, models
inline constexpr std::size_t kCommentBytes = 64 * 1024;
inline constexpr std::size_t kGrantChanges = 1000;  // in one request
inline constexpr std::size_t kTagKeyBytes = 250;
inline constexpr std::size_t kTagValueBytes = 100'000;
inline constexpr std::size_t kTagsPerObject = 1000;
inline constexpr std::size_t kAliasesPerModel = 1000;
inline constexpr std::size_t kOpenTables = 1000;    // handles kept with their snapshot
inline constexpr std::size_t kLineageEdges = 1000;  // in one request and in one answer

// --- SQL statements
inline constexpr std::size_t kStatementText = 1024 * 1024;
inline constexpr std::size_t kStatementTables = 100;  // named in one statement
inline constexpr std::size_t kStatementParameters = 1000;
inline constexpr std::size_t kInsertRows = 1'000'000;  // of one INSERT or CREATE TABLE AS
inline constexpr std::size_t kStatementThreads = 4;    // statements that run at once
inline constexpr std::size_t kStatementQueue = 64;     // that wait; further ones get 503
inline constexpr std::size_t kStatementWaiters = 8;    // requests that wait for one; others get its state at once
inline constexpr auto kStatementTime = 10min;          // then a statement fails
inline constexpr std::size_t kStatementsKept = 100;    // newest, with their results
inline constexpr std::size_t kStatementBytesKept = 256 * 1024 * 1024;
inline constexpr std::size_t kInsertBytes = 256 * 1024 * 1024;

// --- ingest and models
inline constexpr std::uintmax_t kSourceFileBytes = 64ull * 1024 * 1024;
inline constexpr std::uintmax_t kIngestBytes = 1024ull * 1024 * 1024;  // text of the pages that one run writes
inline constexpr std::size_t kIngestFiles = 1'000'000;                 // files and folders below one source folder
inline constexpr std::size_t kIngestFolderDepth = 64;
inline constexpr std::size_t kHtmlDepth = 512;        // nested elements, as browsers limit them
inline constexpr std::size_t kHtmlAttributes = 1000;  // of one tag
inline constexpr std::size_t kHtmlTreeBytes = 512ull * 1024 * 1024;
inline constexpr std::size_t kEmbeddingTokens = 256;       // all-MiniLM-L6-v2 as trained
inline constexpr std::size_t kPayloadBytes = 1024 * 1024;  // a request or response kept in a payload table

// --- tracking
inline constexpr std::size_t kFilterBytes = 16 * 1024;  // a filter string of MLflow's grammar
inline constexpr std::size_t kFilterComparisons = 50;
inline constexpr std::size_t kFilterListValues = 1000;  // of one IN list
inline constexpr std::size_t kOrderByKeys = 10;
inline constexpr std::size_t kRegexBytes = 1024;                 // an RLIKE pattern
inline constexpr std::size_t kRegexScanRows = 20'000;            // rows tried for one page of an RLIKE search
inline constexpr std::size_t kOtlpBodyBytes = 64 * 1024 * 1024;  // an OTLP export, after decompression
inline constexpr std::size_t kSpansPerRequest = 50'000;
inline constexpr std::size_t kAttributesPerSpan = 1000;
inline constexpr std::size_t kMirrorRows = 5000;  // of one commit to system.mlflow.*
inline constexpr std::size_t kMirrorBytes = 16 * 1024 * 1024;
// --- Delta tables
inline constexpr std::size_t kDeltaCommitBytes = 256 * 1024 * 1024;  // one commit file read from a log
inline constexpr int kDeltaCommitAttempts = 100;                     // lost races before a writer gives up
inline constexpr int kDeltaUpsertAttempts = 20;                 // conflicts after which a keyed change is done anew
inline constexpr std::int64_t kDeltaFileRows = 1'000'000;       // rows of one data file written
inline constexpr std::size_t kDeltaPartitions = 10'000;         // partitions written by one commit
inline constexpr std::uint64_t kDeltaDeletedRows = 50'000'000;  // rows of one deletion vector

// --- text formats
inline constexpr std::size_t kYamlBytes = 16 * 1024 * 1024;
inline constexpr std::size_t kYamlAliasBytes = 1024 * 1024;  // what aliases may add to a document
inline constexpr std::size_t kCaseFoldBytes = 512ull * 1024 * 1024;

// --- metadata store
inline constexpr std::size_t kDatabaseReaders = 8;        // connections; more readers wait
inline constexpr auto kDatabaseWait = 30s;                // for a connection, then 503
inline constexpr std::size_t kDatabaseRows = 1'000'000;   // of one query
inline constexpr std::size_t kDatabaseStatements = 256;   // prepared, per connection
inline constexpr std::size_t kDatabaseGroupWriters = 64;  // that share one commit

// --- journal (more in JournalOptions)
inline constexpr std::size_t kJournalBatchBytes = 32 * 1024 * 1024;  // waiting for a sync; then appends wait
inline constexpr std::size_t kJournalConsumers = 1000;

// --- child processes (more in ChildLimits)
inline constexpr std::size_t kSpawnQueue = 1024;
inline constexpr std::uintmax_t kChildLogBytes = 16ull * 1024 * 1024;
inline constexpr std::size_t kChildErrorBytes = 16 * 1024;  // the end of its standard error that is kept
// --- language models
inline constexpr std::size_t kModelMessages = 4096;  // of one chat request
inline constexpr std::size_t kModelStops = 16;
inline constexpr std::size_t kModelStopBytes = 1024;
inline constexpr std::size_t kModelAdapters = 64;              // held by one worker
inline constexpr std::size_t kModelRequests = 1024;            // waiting or running in one worker
inline constexpr std::size_t kEmbeddingInputs = 8192;          // of one frame to a worker
inline constexpr std::size_t kCountedBytes = 8 * 1024 * 1024;  // of one call that counts tokens
inline constexpr std::size_t kGrammarBytes = 1024 * 1024;
inline constexpr std::size_t kGrammarRules = 5000;
inline constexpr std::int64_t kGrammarRepetitions = 1000;      // libllama refuses 2000; a longer maxLength is cut to it
inline constexpr std::size_t kAnswerBytes = 16 * 1024 * 1024;  // text of one answer from a provider
inline constexpr std::size_t kToolCalls = 256;                 // of one answer
inline constexpr std::size_t kToolArgumentBytes = 4 * 1024 * 1024;  // of one call
inline constexpr auto kLongestRetryAfter = 60s;                     // longer ones are passed to the client

}  // namespace lakeloop::limits
