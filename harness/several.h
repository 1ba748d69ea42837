// Several suites, or several cells of one, each as a program of its own, some at a time: a run has
// the ports, folders and signals of its process, so nothing is shared. Thread-compatible.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "harness/process/child.h"

namespace touchstone::harness {

struct SuiteRun {
  std::string name;  ///< "quickstart", "dialects.vllm.grpc"
  std::vector<std::string> argv;
  std::map<std::string, std::string> environment;
  std::string output;  ///< folder of its reports; what it prints goes to `log` in it
};

struct SuiteEnd {
  std::string name;
  ExitStatus status;
  std::string summary;  ///< of its report, or the last line that it printed
};

/// In the order of `runs`. `on_end` is called as each ends. All are ended on the way out.
/// ERRORS: kCancelled by a signal, kNotFound, kIo.
Result<std::vector<SuiteEnd>> run_several(const std::vector<SuiteRun>& runs, size_t jobs,
                                          const std::function<void(const SuiteEnd&)>& on_end,
                                          const Supervision& supervision);

/// 1 when any failed, else 3 when any is undecided, else 0.
int exit_code_of(const std::vector<SuiteEnd>& ends);

}  // namespace touchstone::harness
