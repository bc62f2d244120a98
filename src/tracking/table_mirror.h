#pragma once

// Traces, spans and assessment events as Delta tables, so that SQL joins them with everything else:
//   system.mlflow.traces       a row each time a trace changes; the highest `sequence` of a trace_id is how it stands
//   system.mlflow.spans        a row a span
//   system.mlflow.assessments  a row an event ('create', 'update', 'delete')
// A thread copies what the metadata store has above the sequence number that the table's own log names (txn action), so
// each row is there once, whatever crashes (one mirror to a workspace: the data folder's lock sees to that); a write is
// seen in the table within a second. The metadata store stays the record.

#include <memory>

#include "catalog/catalog.h"
#include "tracking/tracking.h"

namespace lakeloop::tracking {

class TableMirror {
 public:
  // `owner`: an administrator, who makes the tables when they are missing.
  TableMirror(Tracking& tracking, catalog::Catalog& catalog, Principal owner);
  ~TableMirror();  // copies what is there, then ends
  TableMirror(const TableMirror&) = delete;
  TableMirror& operator=(const TableMirror&) = delete;

  // Copies all that was written before the call, on the caller's thread.
  void flush();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lakeloop::tracking
