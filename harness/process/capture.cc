#include "harness/process/capture.h"

#include "base/files.h"

namespace touchstone::harness {

Result<Captured> run_and_capture(SpawnOptions options, const Supervision& supervision,
                                 int64_t timeout_ns) {
  auto folder = TemporaryDirectory::make("touchstone-run");
  if (!folder) return std::move(folder).error();
  options.stdout_path = folder->path() + "/stdout";
  options.log_path = folder->path() + "/stderr";
  auto child = ChildProcess::spawn(options, supervision);
  if (!child) return std::move(child).error();
  const auto status = (*child)->wait_for_exit(timeout_ns);
  if (!status) return status.error();
  auto output = read_file(options.stdout_path);
  if (!output) return std::move(output).error();
  auto errors = read_file(options.log_path);
  if (!errors) return std::move(errors).error();
  return Captured{*status, std::move(*output), std::move(*errors)};
}

}  // namespace touchstone::harness
