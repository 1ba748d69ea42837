// What the HTML report lets a browser do: nothing from anywhere, and no script but its own. Source:
// W3C Content Security Policy level 3. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace touchstone::reports {

/// The policy for a page whose only script is `script`, as it stands between its tags; styles are
/// the page's own, also in attributes.
std::string content_policy(std::string_view script);

}  // namespace touchstone::reports
