#include "reference_engine/chat_template/jinja_builtins.h"

#include <algorithm>
#include <array>
#include <ctime>

namespace touchstone::chat_template {
namespace {

// The sandbox that transformers renders in has the same limit.
constexpr int64_t kRangeMax = 100'000;

Result<Value> make_range(const CallArguments& a) {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t step = 1;
  for (const Value& each : a.positional) {
    if (!each.as_integer()) return type_error("range takes integers");
  }
  if (a.positional.size() == 1) {
    end = *a.positional[0].as_integer();
  } else if (a.positional.size() == 2 || a.positional.size() == 3) {
    begin = *a.positional[0].as_integer();
    end = *a.positional[1].as_integer();
    if (a.positional.size() == 3) step = *a.positional[2].as_integer();
  } else {
    return type_error("range takes one to three integers");
  }
  if (step == 0) return type_error("range: a step of 0");
  List items;
  for (int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (static_cast<int64_t>(items.size()) >= kRangeMax) return type_error("range: too long");
    items.push_back(Value::integer(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return Value::list(std::move(items));
}

Result<Value> make_dict(const CallArguments& a) {
  Dict members;
  if (!a.positional.empty() && a.positional[0].as_dict()) members = *a.positional[0].as_dict();
  for (const auto& [key, value] : a.named) {
    members.erase(std::remove_if(members.begin(), members.end(),
                                 [&, k = key](const auto& member) { return member.first == k; }),
                  members.end());
    members.emplace_back(key, value);
  }
  return Value::dict(std::move(members));
}

}  // namespace

Error type_error(std::string message) { return invalid_argument(std::move(message)); }

const Value* CallArguments::get(size_t index, std::string_view name) const {
  if (index < positional.size()) return &positional[index];
  for (const auto& [key, value] : named) {
    if (key == name) return &value;
  }
  return nullptr;
}

bool is_function(std::string_view name) {
  return name == "raise_exception" || name == "range" || name == "namespace" || name == "dict";
}

Result<Value> call_function(std::string_view name, const CallArguments& arguments) {
  if (name == "range") return make_range(arguments);
  if (name == "dict") return make_dict(arguments);
  if (name == "namespace") {
    auto made = std::make_shared<Namespace>();
    for (const auto& [key, value] : arguments.named) made->members[key] = value;
    return Value(Value::Storage(std::move(made)));
  }
  return invalid_argument(arguments.positional.empty() ? "" : arguments.positional[0].str());
}

Result<Value> format_time(const CallArguments& arguments, int64_t unix_ns) {
  const Value* format = arguments.get(0, "format");
  const std::string* text = format == nullptr ? nullptr : format->as_text();
  if (text == nullptr) return type_error("strftime_now() takes a format");
  const auto seconds = static_cast<std::time_t>(unix_ns / 1'000'000'000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 256> out{};
  return Value::text({out.data(), std::strftime(out.data(), out.size(), text->c_str(), &parts)});
}

}  // namespace touchstone::chat_template
