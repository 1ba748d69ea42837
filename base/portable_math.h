// Logarithm and exponential with the same bits on every machine and C library: basic operations
// only, none fused (-ffp-contract=off), in one fixed order. For random draws, which must not
// depend on where they are made. Pure; thread-safe.
#pragma once

namespace touchstone {

/// Natural logarithm; relative error below 1e-15. REQUIRES: x is finite, normal and positive.
double portable_log(double x);
/// e^x; relative error below 1e-14; 0 below -700. REQUIRES: x <= 700.
double portable_exp(double x);

}  // namespace touchstone
