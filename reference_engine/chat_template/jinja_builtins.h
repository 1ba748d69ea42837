// Filters, tests, methods and global functions that chat templates of the named families use, with
// Jinja's and Python's meaning. A name that is not here is refused when a template is loaded.
// Source: Jinja 3.1 filters.py, tests.py; transformers 5 utils/chat_template_utils.py. Thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "reference_engine/chat_template/jinja_value.h"

namespace touchstone::chat_template {

struct CallArguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
  /// The argument at `index` or called `name`; nullptr when absent.
  const Value* get(size_t index, std::string_view name) const;
};

bool is_filter(std::string_view name);
bool is_test(std::string_view name);
bool is_method(std::string_view name);

/// ERRORS: kInvalidArgument for values the filter cannot take.
Result<Value> apply_filter(std::string_view name, const Value& value,
                           const CallArguments& arguments);
Result<Value> apply_test(std::string_view name, const Value& value, const CallArguments& arguments);
Result<Value> call_method(const Value& object, std::string_view name,
                          const CallArguments& arguments);
/// raise_exception, range, namespace, dict.
bool is_function(std::string_view name);
Result<Value> call_function(std::string_view name, const CallArguments& arguments);
/// strftime_now(format): `unix_ns` in UTC, as C's strftime writes it.
Result<Value> format_time(const CallArguments& arguments, int64_t unix_ns);

/// object.name and object["name"]; undefined when there is none. ERRORS: of an undefined object.
Result<Value> attribute(const Value& object, const std::string& name);
Result<Value> item(const Value& object, const Value& key);
Result<Value> slice(const Value& object, const Value& begin, const Value& end, const Value& step);
/// The values a loop over `value` visits: items, keys, or characters.
Result<List> iterate(const Value& value);
/// a in b
Result<Value> contains(const Value& container, const Value& value);

Error type_error(std::string message);

}  // namespace touchstone::chat_template
