// The project's own sources as text, for the tests that judge its structure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace touchstone::architecture {

struct SourceFile {
  std::string path;  ///< relative to the root, '/' separated
  std::vector<std::string> lines;
};

/// Every .h, .cc, .cu and .cuh file under `root`/`folder` for each folder, by path.
std::vector<SourceFile> read_sources(const std::string& root,
                                     const std::vector<std::string>& folders);

/// The quoted includes of a file, in order.
std::vector<std::string> quoted_includes(const SourceFile& file);

/// Folder → folders it may include from, itself left out.
using Arrows = std::map<std::string, std::set<std::string>>;

/// The longest key of `arrows` that is a folder of `path`; empty when none is.
std::string folder_of(const Arrows& arrows, const std::string& path);

/// One message per include that no arrow allows, and per file that no folder holds.
std::vector<std::string> wrong_arrows(const Arrows& arrows, const std::vector<SourceFile>& files);

/// The files of one include circle, first repeated at the end; empty when there is none.
std::vector<std::string> include_circle(const std::vector<SourceFile>& files);

/// Types that two files define under one name in one namespace, as "namespace::Name: path, path":
/// the linker takes either's functions for both. By the Google layout, as below; what is in an
/// unnamed namespace does not count.
std::vector<std::string> types_defined_twice(const std::vector<SourceFile>& files);

/// Functions longer than `limit` lines as "path:line: N lines", by the Google layout: a definition
/// starts at column 0 (or in a class at column 2 and 4) and its closing brace stands in the same
/// column.
std::vector<std::pair<std::string, int>> long_functions(const SourceFile& file, int limit);

}  // namespace touchstone::architecture
