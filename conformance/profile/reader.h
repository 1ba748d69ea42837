// What the readers of profiles share: words, levels, and reading onto a base. Private to profile/.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/document.h"
#include "conformance/profile/pattern.h"
#include "conformance/profile/profile.h"

namespace touchstone::conformance {

template <typename E>
using Words = std::vector<std::pair<std::string, E>>;

/// The `level` of an item; `base`'s where it says none.
result::Level level_of(const Fields& fields, result::Level base);
/// A level, or "allow" for no rule at all; absent means `base`.
std::optional<result::Level> level_or_allow(const Fields& fields, const std::string& key,
                                            std::optional<result::Level> base);
const Words<telemetry::SpanKind>& kind_words();

/// Takes the place of `field` where the key is there.
void read(const Fields& fields, const std::string& key, std::string& field);
void read(const Fields& fields, const std::string& key, std::optional<std::string>& field);
void read(const Fields& fields, const std::string& key, std::optional<double>& field);
void read(const Fields& fields, const std::string& key, std::optional<int64_t>& field);
void read(const Fields& fields, const std::string& key, std::vector<std::string>& field);
/// As read(), of a PCRE.
void read_pattern(const Fields& fields, const std::string& key, std::optional<std::string>& field,
                  Pattern::Extent extent = Pattern::Extent::kWhole);
/// Also numbers and booleans, as text: for enums and `equals`.
void read_scalars(const Fields& fields, const std::string& key, std::vector<std::string>& field);
/// `key`, and `equals` where it is given.
std::optional<Condition> read_condition(const Fields& fields);

/// Reads the list of objects at `key` onto `items`. Two items are the same when `identity` of both
/// gives the same text; `identify(fields)` is that of what is read; `read_item(fields, item)` reads
/// onto an item, which is new and empty where the base has none.
template <typename T, typename Identity, typename Identify, typename ReadItem>
void read_list(const Fields& fields, const std::string& key, std::vector<T>& items,
               const Identity& identity, const Identify& identify, const ReadItem& read_item) {
  std::set<std::string> seen;
  for (const Fields& item : fields.objects(key)) {
    const std::string id = identify(item);
    if (!seen.insert(id).second) item.fail("", "got " + id + " twice, expected it once");
    auto found = items.begin();
    while (found != items.end() && identity(*found) != id) ++found;
    if (item.optional_bool("remove").value_or(false)) {
      if (found == items.end()) {
        item.fail("remove", "there is no " + id + " to remove");
      } else {
        items.erase(found);
      }
      continue;
    }
    if (found == items.end()) found = items.insert(items.end(), T{});
    read_item(item, *found);
    found->where = item.where();
  }
}
/// As read_list(), where one field of the item, required, is its identity.
template <typename T, typename ReadItem>
void read_keyed(const Fields& fields, const std::string& key, std::vector<T>& items,
                const std::string& identity_key, std::string T::*identity_field,
                const ReadItem& read_item) {
  read_list(
      fields, key, items, [&](const T& item) { return item.*identity_field; },
      [&](const Fields& item) { return item.required_string(identity_key); },
      [&](const Fields& item, T& onto) {
        onto.*identity_field = item.required_string(identity_key);
        read_item(item, onto);
      });
}

/// `attributes` of a span type or of the resource.
void read_attributes(const Fields& fields, std::vector<AttributeRule>& rules);
/// The forbidden keys at `list`: "forbidden" of these, "forbidden_keys" of the profile.
void read_forbidden(const Fields& fields, const std::string& list, std::vector<ForbiddenKey>& keys);
/// `spans`.
void read_span_types(const Fields& root, std::vector<SpanType>& types);

}  // namespace touchstone::conformance
