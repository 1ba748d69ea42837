// Changes to a YAML text that leave everything else as its author wrote it, comments included:
// nodes are found in the parsed tree and replaced where they stand in the text. Source of places:
// yaml-cpp's marks. Thread-compatible.
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace touchstone::harness {

class YamlText final {
 public:
  /// ERRORS: kInvalidArgument `name:line: …` for what is no YAML mapping.
  static Result<YamlText> parse(const std::string& name, std::string text);

  const std::string& text() const { return text_; }
  const YAML::Node& root() const { return root_; }
  /// 1-based, of the node's beginning; 0 for what is not there.
  static int64_t line_of(const YAML::Node& node);
  /// Of the first character of its line: 0-based.
  size_t indent_of(const YAML::Node& node) const;

  // Each says false, and changes nothing, where the text is not as simple as the change needs: a
  // scalar over several lines, a mapping in flow style.

  /// A scalar's text, quotes and all, becomes `replacement`.
  bool replace_scalar(const YAML::Node& scalar, const std::string& replacement);
  /// The lines of a key of a block mapping and of its value become `lines`, each indented as the
  /// key and ended; empty: they go.
  bool replace_entry(const YAML::Node& key, const YAML::Node& value, const std::string& lines);
  /// `lines` stand as the first entries of the block mapping that is `key`'s value.
  bool insert_first(const YAML::Node& key, const YAML::Node& value, const std::string& lines);
  /// Takes an item out of a list, in block or flow style.
  bool remove_item(const YAML::Node& list, size_t index);
  /// The bytes [start, end) become `replacement`.
  bool replace(size_t start, size_t end, std::string replacement);

  /// The text with all changes that do not touch each other; the rest waits for another pass.
  std::string apply() const;
  bool changed() const { return !edits_.empty(); }

 private:
  struct Edit {
    size_t start;
    size_t end;
    std::string replacement;
  };
  YamlText() = default;
  std::optional<size_t> offset_of(const YAML::Node& node) const;
  std::optional<size_t> scalar_end(const YAML::Node& scalar) const;
  /// Of the line after the last one that belongs to the node.
  std::optional<size_t> end_of_lines(const YAML::Node& node) const;
  size_t line_start(size_t offset) const;
  size_t next_line(size_t offset) const;

  std::string text_;
  YAML::Node root_;
  std::vector<size_t> line_starts_;
  std::vector<Edit> edits_;
};

/// `lines` with `indent` blanks in front of each.
std::string indented(std::string_view lines, size_t indent);

}  // namespace touchstone::harness
