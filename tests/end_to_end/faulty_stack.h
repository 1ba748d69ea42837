// Suites with a backend behind the Collector, for tests of what faults do.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "tests/end_to_end/stack.h"

namespace touchstone::end_to_end {

class FaultyStack : public Check {
 protected:
  struct Stack {
    int requests = 20;
    double seconds = 2;
    bool spool = false;    ///< of the engine
    bool durable = false;  ///< the Collector's queue is on disk
    /// YAML under `processors:`, each of which the pipeline has.
    std::map<std::string, std::string> processors = {};
    std::string schedule_delay_ms = "100";
    double answered_share = 1;
    std::string protocol = "grpc";  ///< of the engine's spans
  };
  /// A suite that counts hops.
  std::string suite(const Stack& stack) const;
  /// The rows of the report's "Where spans were lost"; empty without the table.
  std::map<std::string, int64_t> losses() const;
  /// Completed requests of the run, each of which owes one span.
  int64_t completed() const;
  /// Spans of requests in the backend's files, and those that differ.
  int64_t all_spans() const { return request_spans().first; }
  int64_t distinct_spans() const { return request_spans().second; }

 private:
  std::pair<int64_t, int64_t> request_spans() const;
};

}  // namespace touchstone::end_to_end
