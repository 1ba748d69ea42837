// The rules of lint.h: each looks at the whole configuration, says what it finds, and notes the
// change that mends it. Thread-compatible.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "harness/collector/lint.h"
#include "harness/collector/yaml_edit.h"

namespace touchstone::harness {

class LintPass final {
 public:
  explicit LintPass(YamlText& yaml) : yaml_(yaml) {}

  YamlText& yaml() { return yaml_; }
  /// A section's value; undefined when it is absent or no mapping.
  YAML::Node section(const char* name) const;
  /// Components of a section whose type (the id before "/") is `type`: key and value.
  std::vector<std::pair<YAML::Node, YAML::Node>> components(const char* section,
                                                            const std::string& type) const;
  /// `service.pipelines`: name and value.
  std::vector<std::pair<std::string, YAML::Node>> pipelines() const;
  /// A component's id becomes another one in its section and in every pipeline.
  bool rename(const char* section, const YAML::Node& key, const std::string& id);

  /// `fixed`: what the change said.
  void find(LintFinding::Level level, const char* rule, const YAML::Node& at, std::string message,
            bool fixed);
  std::vector<LintFinding> take() { return std::move(findings_); }

 private:
  YamlText& yaml_;
  std::vector<LintFinding> findings_;
};

/// The key node and the value at `key` of a mapping; both undefined when absent.
std::pair<YAML::Node, YAML::Node> entry_of(const YAML::Node& mapping, const std::string& key);

/// Every rule, in the order in which they look.
const std::vector<void (*)(LintPass&)>& lint_rules();

// In lint_loss.cc: settings with which spans are lost.
void batch_before_queue(LintPass& pass);
void file_forgets(LintPass& pass);
void sampling_before_file(LintPass& pass);
void limiter_not_first(LintPass& pass);

}  // namespace touchstone::harness
