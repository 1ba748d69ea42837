#include "harness/collector/yaml_edit.h"

#include <algorithm>

#include "base/text.h"

namespace touchstone::harness {

Result<YamlText> YamlText::parse(const std::string& name, std::string text) {
  YamlText yaml;
  yaml.text_ = std::move(text);
  try {
    yaml.root_ = YAML::Load(yaml.text_);
  } catch (const YAML::Exception& what) {
    return invalid_argument(name + ":" + std::to_string(what.mark.line + 1) + ": " + what.msg);
  }
  if (!yaml.root_.IsMap()) {
    return invalid_argument(name + ": got no mapping, expected a Collector configuration");
  }
  yaml.line_starts_.push_back(0);
  for (size_t i = 0; i < yaml.text_.size(); ++i) {
    if (yaml.text_[i] == '\n') yaml.line_starts_.push_back(i + 1);
  }
  return yaml;
}

int64_t YamlText::line_of(const YAML::Node& node) {
  return node.IsDefined() ? node.Mark().line + 1 : 0;
}

std::optional<size_t> YamlText::offset_of(const YAML::Node& node) const {
  const YAML::Mark mark = node.Mark();
  if (mark.line < 0 || static_cast<size_t>(mark.line) >= line_starts_.size()) return std::nullopt;
  return line_starts_[static_cast<size_t>(mark.line)] + static_cast<size_t>(mark.column);
}

size_t YamlText::line_start(size_t offset) const {
  return *(std::upper_bound(line_starts_.begin(), line_starts_.end(), offset) - 1);
}

size_t YamlText::next_line(size_t offset) const {
  const auto next = std::upper_bound(line_starts_.begin(), line_starts_.end(), offset);
  return next == line_starts_.end() ? text_.size() : *next;
}

size_t YamlText::indent_of(const YAML::Node& node) const {
  const size_t start = line_start(offset_of(node).value_or(0));
  return text_.find_first_not_of(' ', start) - start;
}

std::optional<size_t> YamlText::scalar_end(const YAML::Node& scalar) const {
  const auto start = offset_of(scalar);
  if (!start || !scalar.IsScalar() || *start >= text_.size()) return std::nullopt;
  const std::string& value = scalar.Scalar();
  const char quote = text_[*start];
  if (quote != '"' && quote != '\'') {
    if (text_.compare(*start, value.size(), value) != 0) return std::nullopt;
    return *start + value.size();
  }
  const size_t close = text_.find(quote, *start + 1);
  // With escapes the end is not the next quote: left alone.
  if (close == std::string::npos || text_.substr(*start + 1, close - *start - 1) != value) {
    return std::nullopt;
  }
  return close + 1;
}

std::optional<size_t> YamlText::end_of_lines(const YAML::Node& node) const {
  const auto start = offset_of(node);
  if (!start) return std::nullopt;
  if (node.IsNull()) return next_line(*start);
  if (node.IsScalar()) {
    const auto end = scalar_end(node);
    return end ? std::optional(next_line(*end - (*end > *start ? 1 : 0))) : std::nullopt;
  }
  if (node.Style() == YAML::EmitterStyle::Flow) {
    const char open = text_[*start];
    if (open != '{' && open != '[') return std::nullopt;
    int depth = 0;
    for (size_t i = *start; i < text_.size(); ++i) {
      depth += text_[i] == '{' || text_[i] == '[';
      depth -= text_[i] == '}' || text_[i] == ']';
      if (depth == 0) return next_line(i);
    }
    return std::nullopt;
  }
  std::optional<size_t> end;
  for (const auto& entry : node) {
    const YAML::Node last = node.IsMap() ? entry.second : YAML::Node(entry);
    const auto here = end_of_lines(last.IsNull() && node.IsMap() ? entry.first : last);
    if (!here) return std::nullopt;
    end = std::max(end.value_or(0), *here);
  }
  return end;
}

bool YamlText::replace(size_t start, size_t end, std::string replacement) {
  edits_.push_back({start, end, std::move(replacement)});
  return true;
}

bool YamlText::replace_scalar(const YAML::Node& scalar, const std::string& replacement) {
  const auto start = offset_of(scalar);
  const auto end = scalar_end(scalar);
  return start && end && replace(*start, *end, replacement);
}

bool YamlText::replace_entry(const YAML::Node& key, const YAML::Node& value,
                             const std::string& lines) {
  const auto start = offset_of(key);
  const auto end = end_of_lines(value.IsNull() ? key : value);
  if (!start || !end) return false;
  const size_t begin = line_start(*start);
  // The key must stand alone at the beginning of its line: no flow style, no list item.
  if (text_.find_first_not_of(' ', begin) != *start) return false;
  return replace(begin, *end, indented(lines, *start - begin));
}

bool YamlText::insert_first(const YAML::Node& key, const YAML::Node& value,
                            const std::string& lines) {
  if (!value.IsMap() || value.Style() == YAML::EmitterStyle::Flow || value.size() == 0)
    return false;
  const auto key_at = offset_of(key);
  const auto first = offset_of(value.begin()->first);
  if (!key_at || !first) return false;
  const size_t begin = line_start(*first);
  if (begin <= *key_at) return false;
  return replace(begin, begin, indented(lines, *first - begin));
}

bool YamlText::remove_item(const YAML::Node& list, size_t index) {
  const YAML::Node item = list[index];
  const auto start = offset_of(item);
  const auto end = scalar_end(item);
  if (!start || !end) return false;
  if (list.Style() != YAML::EmitterStyle::Flow) {
    return replace(line_start(*start), next_line(*end - 1), "");
  }
  size_t from = *start;
  size_t to = *end;
  if (index + 1 < list.size()) {
    const auto next = offset_of(list[index + 1]);
    if (!next) return false;
    to = *next;
  } else if (index > 0) {
    const auto before = scalar_end(list[index - 1]);
    if (!before) return false;
    from = *before;
  }
  return replace(from, to, "");
}

std::string YamlText::apply() const {
  std::vector<Edit> edits = edits_;
  std::stable_sort(edits.begin(), edits.end(),
                   [](const Edit& a, const Edit& b) { return a.start < b.start; });
  std::string result;
  size_t done = 0;
  for (const Edit& edit : edits) {
    if (edit.start < done) continue;
    result += text_.substr(done, edit.start - done) + edit.replacement;
    done = edit.end;
  }
  return result + text_.substr(done);
}

std::string indented(std::string_view lines, size_t indent) {
  std::string result;
  for (const std::string& line : split(lines, '\n')) {
    if (!line.empty()) result += std::string(indent, ' ') + line + "\n";
  }
  return result;
}

}  // namespace touchstone::harness
