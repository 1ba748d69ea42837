// What this build calls itself.
#pragma once

namespace touchstone {

inline constexpr char kVersion[] = "0.1.0";

}  // namespace touchstone
