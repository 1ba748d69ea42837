#include "harness/bench/bench_suite.h"

#include <set>

#include "base/document.h"
#include "base/files.h"

namespace touchstone::harness {
namespace {

constexpr int64_t kMostRepeats = 10'000;

void must_be_new(const Fields& fields, const std::string& name, std::set<std::string>& names) {
  if (!names.insert(name).second) {
    fields.fail("name", "got \"" + name + "\" again, expected a name of its own");
  }
  // A subject's name is its file's.
  if (name.empty() || name.find('/') != std::string::npos) {
    fields.fail("name", "got \"" + name + "\", expected a name without a slash");
  }
}

BenchSubject read_subject(const Fields& fields) {
  return {.name = fields.required_string("name"),
          .folder = fields.optional_string("folder").value_or(""),
          .url = fields.optional_string("url").value_or(""),
          .model = fields.optional_string("model").value_or("")};
}

BenchCase read_case(const Fields& fields) {
  BenchCase one;
  one.name = fields.required_string("name");
  one.program = fields.optional_string("program").value_or("");
  one.arguments = fields.strings("arguments");
  const bool loads = fields.has("requests");
  if (loads == !one.program.empty()) {
    fields.fail("", "got " + std::string(loads ? "both" : "neither") +
                        ", expected one of program and requests");
  }
  if (!loads) return one;
  one.requests = fields.int_in("requests", 1, 1, 1'000'000);
  one.concurrency = fields.int_in("concurrency", 1, 1, 100'000);
  one.prompt_tokens = fields.int_in("prompt_tokens", one.prompt_tokens, 1, 10'000'000);
  one.output_tokens = fields.int_in("output_tokens", one.output_tokens, 1, 10'000'000);
  return one;
}

}  // namespace

Result<BenchSuite> parse_bench_suite(const std::string& name, const std::string& text) {
  auto document = Document::parse_yaml(name, text);
  if (!document) return std::move(document).error();
  const Fields root = document->root();
  BenchSuite suite;
  if (!root.has("bench")) (void)root.required_int("bench");
  (void)root.int_in("bench", 1, 1, 1);
  suite.repeats = root.int_in("repeats", suite.repeats, 1, kMostRepeats);
  std::set<std::string> subjects, cases;
  for (const Fields& fields : root.objects("subjects")) {
    suite.subjects.push_back(read_subject(fields));
    must_be_new(fields, suite.subjects.back().name, subjects);
  }
  for (const Fields& fields : root.objects("cases")) {
    suite.cases.push_back(read_case(fields));
    must_be_new(fields, suite.cases.back().name, cases);
    for (const BenchSubject& subject : suite.subjects) {
      const bool loads = suite.cases.back().program.empty();
      if (!(loads ? subject.url : subject.folder).empty()) continue;
      fields.fail("", "got no " + std::string(loads ? "url" : "folder") + " of subject " +
                          subject.name + ", expected one for this case");
    }
  }
  if (suite.subjects.empty()) root.fail("subjects", "got none, expected one or more");
  if (suite.cases.empty()) root.fail("cases", "got none, expected one or more");
  RETURN_IF_ERROR(document->finish());
  return suite;
}

Result<BenchSuite> read_bench_suite(const std::string& path) {
  const auto text = read_file(path);
  if (!text) return text.error();
  return parse_bench_suite(path, *text);
}

}  // namespace touchstone::harness
