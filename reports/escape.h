// Text from outside made safe for HTML, XML and terminals. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace touchstone::reports {

/// For element content and quoted attributes of HTML and XML 1.0: `& < > " '` become entities;
/// what XML cannot hold (control characters, ill-formed UTF-8) and marks that turn the direction of
/// text become U+FFFD.
std::string escape_markup(std::string_view text);

/// One line of GitHub-flavoured Markdown, in a table cell too, that shows the text as it is: with
/// no markup, HTML or cell border of its own. A bare address may still become a link.
std::string escape_markdown(std::string_view text);

/// For terminals: control characters, escape sequences included, and marks that turn the direction
/// of text become U+FFFD; line ends and tabs become spaces.
std::string plain_line(std::string_view text);

/// The first `columns` characters, with … when cut; counts code points.
std::string shortened(std::string_view text, size_t columns);
/// Code points in well-formed UTF-8.
size_t width_of(std::string_view text);

}  // namespace touchstone::reports
