#include "cli/self_test.h"

#include <cstdio>

#include "cli/output.h"
#include "conformance/mutate/self_test.h"
#include "harness/self_test.h"
#include "harness/shipped.h"

namespace touchstone::cli {

Exit self_test(const std::vector<std::string>& profiles, const std::string& format) {
  namespace mutate = conformance::mutate;
  if (format != "text" && format != "json") {
    return report_error(invalid_argument("check: --format: got " + format +
                                         " with --self-test, expected text or json"));
  }
  const auto folder = harness::shipped_path(harness::program_path(), "fixtures/spans");
  if (!folder) return report_error(folder.error());
  const auto goods = harness::good_telemetry(*folder, profiles, mutate::Depth::kWhole);
  if (!goods) return report_error(goods.error());
  const mutate::SelfTest test = mutate::self_test(
      *goods, [](const std::string& name) { std::fprintf(stderr, "damaging %s\n", name.c_str()); });
  const Status printed = print(format == "json" ? to_json(test) : to_text(test));
  if (!printed) return report_error(printed.error());
  return test.good() ? Exit::kGood : Exit::kFindings;
}

}  // namespace touchstone::cli
