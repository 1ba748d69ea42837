// A YAML file, JSON file or JSON line as a tree of fields whose every error says where it is:
// `suite.yaml:12: load.requests: got "many", expected an integer`.
//
//   Result<Document> document = Document::parse_yaml(path, text);
//   Fields root = document->root();
//   config.requests = root.object("load").required_int("requests");
//   RETURN_IF_ERROR(document->finish());   // first error, or the first unknown key
//
// Getters never throw and never abort on bad input: they return a default and the document keeps
// the first error. Thread-compatible. A Fields must not outlive its Document.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace touchstone {

class Fields;

class Document final {
 public:
  /// `name` is what messages call the input, usually its path.
  static Result<Document> parse_yaml(const std::string& name, std::string_view text);
  static Result<Document> parse_json(const std::string& name, std::string_view text);
  /// One line of a JSON-lines file; messages say `name:line`.
  static Result<Document> parse_json_line(const std::string& name, int64_t line,
                                          std::string_view text);
  /// Wraps a tree that is already parsed.
  static Document wrap(const std::string& name, const nlohmann::json& tree);

  Document(Document&&) noexcept;
  Document& operator=(Document&&) noexcept;
  ~Document();

  Fields root();
  const nlohmann::json& tree() const;
  /// `name:line` of the value at JSON pointer `pointer`.
  std::string where(const std::string& pointer) const;

  /// Keeps the first error only.
  void fail(const std::string& pointer, const std::string& problem, const std::string& hint = {});
  /// The first error; else, unless ignore_unknown_keys() was called, the first key that nobody
  /// asked for; else success. Call after all fields were read.
  Status finish();
  /// For what machines send.
  void ignore_unknown_keys();

 private:
  friend class Fields;
  struct State;
  explicit Document(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// One object (mapping) of a document. Cheap to copy. Every getter marks its key as known.
class Fields {
 public:
  bool has(const std::string& key) const;
  std::vector<std::string> keys() const;
  /// The raw value, or null when absent.
  const nlohmann::json& raw(const std::string& key) const;

  std::string required_string(const std::string& key) const;
  int64_t required_int(const std::string& key) const;
  double required_double(const std::string& key) const;
  bool required_bool(const std::string& key) const;
  std::optional<std::string> optional_string(const std::string& key) const;
  std::optional<int64_t> optional_int(const std::string& key) const;
  std::optional<double> optional_double(const std::string& key) const;
  std::optional<bool> optional_bool(const std::string& key) const;
  /// A duration with its unit ("250ms"), in nanoseconds.
  std::optional<int64_t> optional_duration_ns(const std::string& key) const;
  /// Integer in the closed range [low, high].
  int64_t int_in(const std::string& key, int64_t fallback, int64_t low, int64_t high) const;

  /// Empty when absent; an error when an element has another type.
  std::vector<std::string> strings(const std::string& key) const;
  std::vector<int64_t> ints(const std::string& key) const;

  /// The object at `key`; an empty one when absent (check has()), an error when not an object.
  Fields object(const std::string& key) const;
  Fields required_object(const std::string& key) const;
  /// The objects of the list at `key`; empty when absent.
  std::vector<Fields> objects(const std::string& key) const;
  /// The objects of the mapping at `key`, by name, in the file's order for JSON (sorted).
  std::vector<std::pair<std::string, Fields>> named_objects(const std::string& key) const;

  /// The value for the word at `key`; an error that lists the words when it is none of them.
  template <typename E>
  std::optional<E> optional_enum(const std::string& key,
                                 const std::vector<std::pair<std::string, E>>& words) const {
    const auto word = optional_string(key);
    if (!word) return std::nullopt;
    std::vector<std::string> names;
    for (const auto& [name, value] : words) {
      if (name == *word) return value;
      names.push_back(name);
    }
    fail_enum(key, *word, names);
    return std::nullopt;
  }

  /// Reports a problem with the value at `key` ("" for the object itself).
  void fail(const std::string& key, const std::string& problem, const std::string& hint = {}) const;
  /// `file:line` of the value at `key` ("" for the object itself).
  std::string where(const std::string& key = {}) const;
  /// Marks `key` as known without reading it.
  void accept(const std::string& key) const;
  /// Marks every key of this object and below as known.
  void accept_all() const;

 private:
  friend class Document;
  Fields(Document::State* state, const nlohmann::json* object, std::string pointer)
      : state_(state), object_(object), pointer_(std::move(pointer)) {}
  const nlohmann::json* find(const std::string& key, bool required) const;
  void fail_type(const std::string& key, const char* expected) const;
  void fail_enum(const std::string& key, const std::string& got,
                 const std::vector<std::string>& words) const;

  Document::State* state_;
  const nlohmann::json* object_;  // null: absent
  std::string pointer_;           // JSON pointer, "" at the root
};

}  // namespace touchstone
