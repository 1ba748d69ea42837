#include "harness/collector/span_file.h"

#include "telemetry/otlp/json.h"

namespace touchstone::harness {

Status SpanFile::open() {
  const MutexLock lock(mutex_);
  return file_.open();
}

telemetry::OtlpAnswer SpanFile::write(const telemetry::TraceBatch& batch) {
  if (telemetry::span_count(batch) == 0) return {};
  const std::string line = telemetry::encode_otlp_json(batch) + "\n";
  const MutexLock lock(mutex_);
  Status written = file_.append(line);
  if (written) return {};
  constexpr int kUnavailable = 14;
  const telemetry::OtlpAnswer answer{.grpc_code = kUnavailable, .message = written.error().message};
  if (first_problem_) first_problem_ = std::move(written);
  return answer;
}

Status SpanFile::problem() const {
  const MutexLock lock(mutex_);
  return first_problem_;
}

}  // namespace touchstone::harness
