#include "tests/architecture/source_tree.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <regex>

#include "base/text.h"

namespace touchstone::architecture {

std::vector<SourceFile> read_sources(const std::string& root,
                                     const std::vector<std::string>& folders) {
  static const std::set<std::string> kExtensions = {".h", ".cc", ".cu", ".cuh"};
  std::vector<SourceFile> files;
  for (const std::string& folder : folders) {
    const std::filesystem::path start = std::filesystem::path(root) / folder;
    if (!std::filesystem::exists(start)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(start)) {
      if (!entry.is_regular_file() || !kExtensions.contains(entry.path().extension())) continue;
      SourceFile file{std::filesystem::relative(entry.path(), root).generic_string(), {}};
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) file.lines.push_back(line);
      files.push_back(std::move(file));
    }
  }
  std::sort(files.begin(), files.end(),
            [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return files;
}

std::vector<std::string> quoted_includes(const SourceFile& file) {
  static const std::string kStart = "#include \"";
  std::vector<std::string> includes;
  for (const std::string& line : file.lines) {
    if (!line.starts_with(kStart)) continue;
    const size_t end = line.find('"', kStart.size());
    if (end != std::string::npos) {
      includes.push_back(line.substr(kStart.size(), end - kStart.size()));
    }
  }
  return includes;
}

std::string folder_of(const Arrows& arrows, const std::string& path) {
  std::string best;
  for (const auto& [folder, allowed] : arrows) {
    if (path.starts_with(folder + "/") && folder.size() > best.size()) best = folder;
  }
  return best;
}

std::vector<std::string> wrong_arrows(const Arrows& arrows, const std::vector<SourceFile>& files) {
  std::vector<std::string> problems;
  for (const SourceFile& file : files) {
    const std::string from = folder_of(arrows, file.path);
    if (from.empty()) {
      problems.push_back(file.path + ": no folder of the arrows table holds it");
      continue;
    }
    for (const std::string& include : quoted_includes(file)) {
      const std::string to = folder_of(arrows, include);
      if (to.empty() || to == from) continue;  // generated headers, or the folder itself
      if (!arrows.at(from).contains(to)) {
        problems.push_back(file.path + ": includes " + include + ", but " + from +
                           " may not know " + to);
      }
    }
  }
  return problems;
}

std::vector<std::string> include_circle(const std::vector<SourceFile>& files) {
  std::map<std::string, std::vector<std::string>> edges;
  for (const SourceFile& file : files) edges[file.path] = quoted_includes(file);
  std::map<std::string, int> state;  // 1: on the path, 2: done
  std::vector<std::string> path;
  std::vector<std::string> circle;
  const std::function<bool(const std::string&)> visit = [&](const std::string& name) {
    if (!edges.contains(name) || state[name] == 2) return false;
    path.push_back(name);
    if (state[name] == 1) {
      circle.assign(std::find(path.begin(), path.end(), name), path.end());
      return true;
    }
    state[name] = 1;
    for (const std::string& next : edges[name]) {
      if (visit(next)) return true;
    }
    state[name] = 2;
    path.pop_back();
    return false;
  };
  for (const SourceFile& file : files) {
    if (visit(file.path)) break;
  }
  return circle;
}

std::vector<std::pair<std::string, int>> long_functions(const SourceFile& file, int limit) {
  std::vector<std::pair<std::string, int>> found;
  static const std::vector<std::string> kNotFunctions = {
      "namespace",    "class",     "struct",           "enum",  "union",      "extern",
      "static const", "constexpr", "inline constexpr", "const", "template <", "}"};
  for (const size_t indent : {size_t{0}, size_t{2}}) {
    const std::string margin(indent, ' ');
    std::optional<size_t> start;
    for (size_t i = 0; i < file.lines.size(); ++i) {
      const std::string& line = file.lines[i];
      if (line.size() <= indent || !line.starts_with(margin) || line[indent] == ' ') continue;
      const std::string body = line.substr(indent);
      if (body == "}" || body == "};" || body == "});") {
        if (start && static_cast<int>(i - *start) + 1 > limit) {
          found.emplace_back(file.path + ":" + std::to_string(*start + 1),
                             static_cast<int>(i - *start) + 1);
        }
        start.reset();
        continue;
      }
      const bool starts_word = std::isalpha(static_cast<unsigned char>(body[0])) != 0;
      const bool other =
          std::any_of(kNotFunctions.begin(), kNotFunctions.end(),
                      [&](const std::string& word) { return body.starts_with(word); });
      if (starts_word && !other && body.find('(') != std::string::npos &&
          body.find(';') == std::string::npos) {
        start = i;
      }
    }
  }
  return found;
}

std::vector<std::string> types_defined_twice(const std::vector<SourceFile>& files) {
  static const std::regex kNamespace(R"(^namespace ([\w:]+) \{)");
  // What is defined within another type, `struct Outer::Inner {`, is that type's.
  static const std::regex kType(
      R"(^(?:enum class|enum|struct|class) (?:alignas\(\w+\) |TOUCHSTONE_\w+\(\S*\)+ )?(\w+)(?!\w|::)[^;]*\{)");
  std::map<std::string, std::set<std::string>> files_of;
  for (const SourceFile& file : files) {
    std::string name_space;
    bool unnamed = false;
    for (const std::string& line : file.lines) {
      std::smatch match;
      if (line == "namespace {") unnamed = true;
      if (line.starts_with("}  // namespace") && unnamed) {
        unnamed = false;
      } else if (std::regex_search(line, match, kNamespace)) {
        name_space = match[1];
      } else if (!unnamed && std::regex_search(line, match, kType)) {
        files_of[name_space + "::" + match[1].str()].insert(file.path);
      }
    }
  }
  std::vector<std::string> twice;
  for (const auto& [name, paths] : files_of) {
    if (paths.size() < 2) continue;
    twice.push_back(name + ": " + join({paths.begin(), paths.end()}, ", "));
  }
  return twice;
}

}  // namespace touchstone::architecture
