// Runs `touchstone check` as a person would, on small suites made for a test.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "harness/evidence.h"
#include "harness/process/capture.h"

namespace touchstone::end_to_end {

struct Ran {
  int code = -1;
  std::string output;
  std::string errors;
};

/// `text` with `from`, which must be there, replaced by `to`.
std::string replaced(std::string text, const std::string& from, const std::string& to);

/// A folder for suites and reports; skips aloud where there is no real Collector.
class Check : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  std::string path(const std::string& name) const { return folder_->path() + "/" + name; }
  std::string write(const std::string& name, const std::string& content) const;
  /// `touchstone check SUITE --output path("report")` and more flags.
  Ran check(const std::string& suite, const std::vector<std::string>& more = {}) const;
  harness::SpawnOptions check_command(const std::string& suite,
                                      const std::vector<std::string>& more = {}) const;

  /// The same in the background, once the pattern `words` is in its log; null when it never comes.
  std::unique_ptr<harness::ChildProcess> check_that_said(const std::string& words,
                                                         const std::string& suite) const;

  void write_workload(const std::string& name, int requests, double seconds) const;
  /// A suite with the shipped model and `requests` requests in `seconds`; its text can be changed
  /// before it is written.
  std::string small_suite_text(int requests, double seconds) const;
  std::string small_suite(int requests = 10, double seconds = 1.5) const;

  /// Two servers behind one Collector: 8 requests to `stable`, 6 to `canary`.
  std::string two_subjects_text() const;

  /// `touchstone serve` on the shipped model at `port`, ready, exporting to `otlp_port`.
  std::unique_ptr<harness::ChildProcess> serve(
      uint16_t port, uint16_t otlp_port, const std::vector<std::string>& more = {},
      const std::map<std::string, std::string>& environment = {}) const;

  /// Of the run that `check` left.
  Result<conformance::Evidence> evidence() const;
  nlohmann::json report() const;
  /// Findings of all checks whose id starts with `prefix`.
  std::vector<nlohmann::json> findings(const std::string& prefix) const;
  /// Command lines of running processes that name this test's folder.
  std::vector<std::string> survivors() const;
  /// Waits until none is left; what remains after a while.
  std::vector<std::string> survivors_at_last() const;

  /// Path of the real Collector that runs.
  std::string collector_binary() const;

  RealClock clock_;
  harness::Supervision supervision_{clock_};
  std::unique_ptr<TemporaryDirectory> folder_;
};

}  // namespace touchstone::end_to_end
