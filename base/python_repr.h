// Values as Python's repr() writes them: vLLM's messages and chat templates carry them. Pure;
// thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace touchstone {

/// Single quotes unless the text holds some and no double ones.
std::string python_repr(std::string_view text);
/// "2.0", "0.1", "1e-05", "nan".
std::string python_repr(double value);

}  // namespace touchstone
