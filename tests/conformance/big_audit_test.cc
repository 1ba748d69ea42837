// An audit's memory does not grow with the file: 2 GB of spans, judged from outside.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/text.h"
#include "bench/span_file.h"
#include "tests/support/paths.h"

namespace touchstone {
namespace {

TEST(BigAudit, TwoGigabytesAreJudgedInBoundedMemory) {
  const auto folder = TemporaryDirectory::make("touchstone-big-audit");
  ASSERT_TRUE(folder.has_value());
  const std::string file = folder->path() + "/spans.jsonl";
  const auto spans = bench::write_span_file(file, 2'000'000'000);
  ASSERT_TRUE(spans.has_value()) << spans.error().message;
  ASSERT_GT(*spans, 1'500'000);
  const std::string output = folder->path() + "/out";
  const std::string binary = support::touchstone_binary();
  const pid_t child = fork();
  if (child == 0) {
    if (std::freopen(output.c_str(), "w", stdout) == nullptr) _exit(9);
    execl(binary.c_str(), "touchstone", "audit", "--file", file.c_str(), nullptr);
    _exit(9);
  }
  int status = 0;
  rusage usage{};
  ASSERT_EQ(wait4(child, &status, 0, &usage), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << read_file(output).value();
  EXPECT_NE(read_file(output).value().find(format_count(*spans) + " spans: "), std::string::npos);
  EXPECT_LT(usage.ru_maxrss, 200 * 1024) << "KiB";
}

}  // namespace
}  // namespace touchstone
