// The requests of a workload file, one after the other, so that a long workload needs no memory but
// for what name_set.h keeps of names.
// Thread-compatible.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/line_reader.h"
#include "base/result.h"
#include "workload/name_set.h"
#include "workload/request_reader.h"
#include "workload/workload.h"

namespace touchstone::workload {

class WorkloadReader final : public RequestReader {
 public:
  /// ERRORS: kNotFound, kIo.
  static Result<std::unique_ptr<WorkloadReader>> open(const std::string& path);
  /// False at the end of the file. ERRORS: as read_workload().
  Result<bool> next(Request& request) override;
  std::string where() const override;

 private:
  explicit WorkloadReader(std::unique_ptr<LineReader> lines) : lines_(std::move(lines)) {}
  std::unique_ptr<LineReader> lines_;
  NameSet names_;
  int64_t made_ = 0;
  int64_t last_arrival_ns_ = 0;
};

}  // namespace touchstone::workload
